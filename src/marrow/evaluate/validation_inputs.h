// What every way of validating a detector takes from labels and predictions.
#pragma once

#include <optional>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/labels.h"
#include "marrow/detect/nms.h"
#include "marrow/evaluate/metrics/detection_validator.h"

namespace marrow::evaluate {

// COCO's crowds take detections that would otherwise be wrong; they are not among the labels.
std::vector<CocoTruthBox> crowds_of(const data::LabelledImage& image);

// Labels and crowds, where there are crowds.
std::optional<std::vector<CocoTruthBox>> coco_truth(const data::LabelledImage& image);

// Throws Error{kShape} unless predictions are (images, 4 + classes + extra, anchors).
void require_predictions(const Tensor& predictions, size_t images, int classes, int extra = 0);

// The boxes in predictions without extra rows, a list an image.
std::vector<std::vector<detect::InputDetection>> found_in(const Tensor& predictions,
                                                          const detect::NmsOptions& nms,
                                                          cpu::ThreadPool& threads);

}  // namespace marrow::evaluate
