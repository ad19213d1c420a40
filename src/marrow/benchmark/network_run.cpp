#include "marrow/benchmark/network_run.h"

#include <algorithm>

#include "marrow/base/random.h"
#include "marrow/benchmark/latency.h"
#include "marrow/model/summary.h"

namespace marrow::benchmark {

NetworkRun::NetworkRun(const passes::GraphWithWeights& network, const NetworkRunOptions& options)
    : macs_(options.batch * model::count_macs(network.graph, options.height, options.width)) {
  shape_ = {options.batch, network.graph.nodes.at(0).channels, options.height, options.width};
  compile_ms_ = time_ms([&] {
    engine::EngineOptions engine = options.engine;
    engine.deploy = false;
    network_ = std::make_unique<predict::CompiledNetwork>(network, std::vector<std::string>(), engine);
    compiled();
  });
  Random random(1, "benchmark");
  for (float& value : compiled().input.values()) value = static_cast<float>(random.uniform(0, 1));
}

std::vector<engine::StepTime> NetworkRun::slowest_steps(int repeats) {
  std::vector<engine::StepTime> steps = compiled().engine.time_steps(compiled().input, repeats);
  std::ranges::stable_sort(steps, std::greater<>(), &engine::StepTime::ms);
  return steps;
}

}  // namespace marrow::benchmark
