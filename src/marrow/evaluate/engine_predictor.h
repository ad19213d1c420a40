// The engine behind validation: compiles the network for each input size it meets, and keeps the latest.
#pragma once

#include <list>
#include <string>

#include "marrow/engine/engine.h"
#include "marrow/geometry/size.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/model/checkpoint.h"

namespace marrow::evaluate {

// One caller at a time. Images go through one by one: a batch is not faster on a CPU.
class EnginePredictor {
 public:
  // Throws Error{kModel} unless the model has a classifier's output "logits" or a detector's "output0".
  EnginePredictor(model::TrainedModel trained, const engine::EngineOptions& options);

  // (N, 3, H, W) uint8, red first, become (N, 4 + classes, anchors) float32, or (N, classes) logits.
  Tensor operator()(const Tensor& images);

 private:
  struct Compiled {
    Size size;
    engine::Engine engine;
  };
  engine::Engine& compiled(Size size);

  model::TrainedModel trained_;
  std::string output_;
  engine::EngineOptions options_;
  std::list<Compiled> compiled_;  // most recently used first
};

}  // namespace marrow::evaluate
