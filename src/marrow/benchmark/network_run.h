// A network ready to be timed: compiled for one input shape and fed with noise, since the time does not
// depend on the numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "marrow/engine/engine.h"
#include "marrow/graph/passes/pass.h"
#include "marrow/predict/compiled_network.h"

namespace marrow::benchmark {

struct NetworkRunOptions {
  int batch = 1;
  int height = 640;
  int width = 640;
  engine::EngineOptions engine;
};

class NetworkRun {
 public:
  // `network` runs as it is: deploy it first, or not. Throws what Engine throws.
  NetworkRun(const passes::GraphWithWeights& network, const NetworkRunOptions& options);

  double compile_ms() const { return compile_ms_; }
  int64_t macs() const { return macs_; }  // of the whole batch
  void run() { compiled().run(); }
  // Sorted by falling time; each the best of `repeats`.
  std::vector<engine::StepTime> slowest_steps(int repeats);

 private:
  predict::CompiledNetwork::Compiled& compiled() { return network_->at(shape_); }

  Shape shape_;
  std::unique_ptr<predict::CompiledNetwork> network_;
  double compile_ms_ = 0;
  int64_t macs_ = 0;
};

}  // namespace marrow::benchmark
