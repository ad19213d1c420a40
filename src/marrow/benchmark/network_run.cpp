#include "marrow/benchmark/network_run.h"

#include <algorithm>

#include "marrow/base/random.h"
#include "marrow/benchmark/latency.h"
#include "marrow/model/summary.h"

namespace marrow::benchmark {

NetworkRun::NetworkRun(const passes::GraphWithWeights& network, const NetworkRunOptions& options)
    : macs_(options.batch * model::count_macs(network.graph, options.height, options.width)) {
  const Shape shape = {options.batch, network.graph.nodes.at(0).channels, options.height, options.width};
  input_ = Tensor(shape);
  Random random(1, "benchmark");
  for (float& value : input_.values()) value = static_cast<float>(random.uniform(0, 1));
  compile_ms_ = time_ms([&] {
    engine::EngineOptions engine = options.engine;
    engine.deploy = false;
    engine_ = std::make_unique<engine::Engine>(network.graph, network.weights, shape,
                                               std::span<const std::string>(), engine);
  });
}

std::vector<engine::StepTime> NetworkRun::slowest_steps(int repeats) {
  std::vector<engine::StepTime> steps = engine_->time_steps(input_, repeats);
  std::ranges::stable_sort(steps, std::greater<>(), &engine::StepTime::ms);
  return steps;
}

}  // namespace marrow::benchmark
