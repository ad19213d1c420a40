#include <gtest/gtest.h>

#include "marrow/benchmark/comparison.h"
#include "marrow/benchmark/machine.h"
#include "marrow/graph/builder.h"

namespace marrow::benchmark {
namespace {

// One convolution, 3 -> 8 channels.
passes::GraphWithWeights small_network() {
  GraphBuilder g;
  g.output("out", g.conv(g.input(3), "layer",
                         {.out = 8, .kernel = 3, .padding = Padding::symmetric(1), .bias = true}));
  Graph graph = std::move(g).build();
  Weights weights = randomize(graph, 1);
  return {std::move(graph), std::move(weights)};
}

TEST(NetworkRun, CountsTheWholeBatch) {
  NetworkRun run(small_network(), {.batch = 2, .height = 10, .width = 12, .engine = {.threads = 1}});
  EXPECT_EQ(run.macs(), 2 * 10 * 12 * 8 * 3 * 9);
  const std::vector<engine::StepTime> steps = run.slowest_steps(2);
  ASSERT_FALSE(steps.empty());
  double macs = 0;
  for (const engine::StepTime& step : steps) macs += step.macs;
  EXPECT_EQ(macs, static_cast<double>(run.macs()));
  for (size_t i = 1; i < steps.size(); ++i) EXPECT_GE(steps[i - 1].ms, steps[i].ms);
}

TEST(TimeInTurns, GivesEachNetworkAsManyRuns) {
  const std::vector<passes::GraphWithWeights> networks = {small_network(), small_network(), small_network()};
  double heard = 0;
  const std::vector<ComparedNetwork> times = time_in_turns(
      networks,
      {.input = {.height = 8, .width = 8, .engine = {.threads = 1}}, .seconds = 0, .least_turns = 4},
      [&](double share) { heard = share; });
  ASSERT_EQ(times.size(), 3u);
  for (const ComparedNetwork& one : times) {
    EXPECT_EQ(one.latency.runs, 12);
    EXPECT_EQ(one.macs, 8 * 8 * 8 * 27);
  }
  EXPECT_EQ(heard, 1);
}

TEST(Machine, KnowsWhatItRunsOn) {
  const Machine machine = this_machine();
  EXPECT_FALSE(machine.cpu.empty());
  EXPECT_GE(machine.cores, 1);
  EXPECT_GT(peak_gflops(cpu::SimdLevel::kPlain), 0);
  EXPECT_GT(peak_memory_bytes(), 1'000'000);
}

}  // namespace
}  // namespace marrow::benchmark
