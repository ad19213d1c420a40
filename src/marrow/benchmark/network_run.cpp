#include "marrow/benchmark/network_run.h"

#include <algorithm>

#include "marrow/base/random.h"
#include "marrow/benchmark/latency.h"
#include "marrow/model/summary.h"

namespace marrow {

NetworkRun::NetworkRun(const GraphWithWeights& network, const NetworkRunOptions& options)
    : macs_(options.batch * count_macs(network.graph, options.height, options.width)) {
  const Shape shape = {options.batch, network.graph.nodes.at(0).channels, options.height, options.width};
  input_ = Tensor(shape);
  Random random(1, "benchmark");
  for (float& value : input_.values()) value = static_cast<float>(random.uniform(0, 1));
  compile_ms_ = time_ms([&] {
    EngineOptions engine = options.engine;
    engine.deploy = false;
    engine_ = std::make_unique<Engine>(network.graph, network.weights, shape, std::span<const std::string>(),
                                       engine);
  });
}

std::vector<StepTime> NetworkRun::slowest_steps(int repeats) {
  std::vector<StepTime> steps = engine_->time_steps(input_, repeats);
  std::ranges::stable_sort(steps, std::greater<>(), &StepTime::ms);
  return steps;
}

}  // namespace marrow
