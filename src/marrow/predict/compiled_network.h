// A network ready to run on this CPU, whatever the size of its input: it compiles itself for each input shape
// it meets and keeps the last few.
//
//   CompiledNetwork network({graph, weights}, {"output0"}, {});
//   CompiledNetwork::Compiled& compiled = network.at({1, 3, 640, 640});
//   fill(compiled.input);
//   const Tensor& output = compiled.run();
//
// One caller at a time.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <vector>

#include "marrow/engine/engine.h"
#include "marrow/graph/passes/pass.h"

namespace marrow::predict {

class CompiledNetwork {
 public:
  struct Compiled {
    Tensor input;  // to be filled
    engine::Engine engine;
    std::vector<Compiled> others = {};  // that may run beside it, where several were asked for

    Compiled& at(size_t i) { return i == 0 ? *this : others[i - 1]; }

    // Computes the outputs of what `input` holds; returns the first. Overwritten by the next run.
    const Tensor& run();
  };

  // `outputs` are names of outputs or taps; empty means the graph's outputs. What they do not need is
  // dropped, and with options.deploy the passes run: once, for all shapes to come. At most `kept` shapes stay
  // compiled. Throws Error{kModel} for an unknown name, for parameters that are missing or of another shape.
  CompiledNetwork(const passes::GraphWithWeights& network, const std::vector<std::string>& outputs,
                  const engine::EngineOptions& options, size_t kept = 4);

  const Graph& graph() const { return network_.graph; }  // as it runs

  // Stays where it is until kept - 1 others have been asked for. With `side_by_side` it has so many engines,
  // which may run at the same time, each with its part of the threads. Throws what engine::Engine throws.
  Compiled& at(const Shape& input, size_t side_by_side = 1);

 private:
  passes::GraphWithWeights network_;
  engine::EngineOptions options_;
  size_t kept_;
  std::list<Compiled> compiled_;  // most recently used first
};

}  // namespace marrow::predict
