// What every way of validating a detector takes from labels and predictions.
#pragma once

#include <optional>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/labels.h"
#include "marrow/detect/nms.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/evaluate/task_image.h"

namespace marrow::evaluate {

// COCO's crowds take detections that would otherwise be wrong; they are not among the labels.
std::vector<CocoTruthBox> crowds_of(const data::LabelledImage& image);

// The same and, without a crowd's mark, people without labelled keypoints, which COCO ignores.
std::vector<CocoTruthBox> ignored_people_of(const data::LabelledImage& image);

// Labels and crowds, where there are crowds.
std::optional<std::vector<CocoTruthBox>> coco_truth(const data::LabelledImage& image);

// Throws Error{kShape} unless predictions are (images, 4 + classes + extra, anchors).
void require_predictions(const Tensor& predictions, size_t images, int classes, int extra = 0);

// Masks of all objects and crowds are compared with each one that is found. An object's takes no more than
// its box, which is that of its outline; a crowd's may.
// Throws Error{kUsage} where those of all do not fit into memory together.
void require_room_for_masks(const data::LabelledImage& image, const detect::NmsOptions& nms);

// What was found in the image and what is true, and how they overlap; of the task image, which stays.
void describe(const TaskImage& found, const data::LabelledImage& labels, ValidatedImage& image);

// The boxes in predictions without extra rows, a list an image.
std::vector<std::vector<detect::InputDetection>> found_in(const Tensor& predictions,
                                                          const detect::NmsOptions& nms,
                                                          cpu::ThreadPool& threads);

}  // namespace marrow::evaluate
