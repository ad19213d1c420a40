// The network behind validation.
#pragma once

#include "marrow/evaluate/task_image.h"
#include "marrow/model/checkpoint.h"
#include "marrow/predict/compiled_network.h"

namespace marrow::evaluate {

// Number `index` of a loader's images (N, C, H, W), red first, as the network's input (1, C, H, W).
void fill_input(const Tensor& images, int64_t index, const Graph& graph, Tensor& input);

// One caller at a time. Images go through one by one: a batch is not faster on a CPU.
class EnginePredictor {
 public:
  // Throws Error{kModel} unless the model has a classifier's output "logits" or a detection head.
  // `suppress`: which boxes of a detector are wanted (predict::detection_output).
  EnginePredictor(const model::TrainedModel& trained, const engine::EngineOptions& options,
                  bool suppress = true);

  // (N, C, H, W) of a loader, red first, become (N, 4 + classes + extra, anchors) float32, or (N, classes)
  // logits.
  Tensor operator()(const Tensor& images) { return predict(images).decoded; }
  // The same with the prototypes of a head that segments.
  BatchPredictions predict(const Tensor& images);

 private:
  predict::CompiledNetwork network_;
};

}  // namespace marrow::evaluate
