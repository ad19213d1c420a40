// The averaged weights of a training as the inference engine runs them: in their deploy form, compiled for
// the shapes that come.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "marrow/engine/engine.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/passes/deploy.h"

namespace marrow::train::native {

class AverageEngines {
 public:
  // `targets` become the outputs.
  AverageEngines(Graph graph, Weights average, std::vector<Value> targets, int threads);

  const std::vector<Value>& targets() const { return targets_; }
  // Valid until the next call. Only the latest shape's is kept: validation comes to each shape once, and the
  // memory of several would add up.
  engine::Engine& of(const Shape& images);

 private:
  std::vector<Value> targets_;
  int threads_;
  passes::GraphWithWeights network_;
  Shape shape_;
  std::optional<engine::Engine> engine_;  // of that
};

}  // namespace marrow::train::native
