// The task-aligned assigner: decides which predictions are trained towards which object.
// Source: TOOD: Task-aligned One-stage Object Detection, Feng et al. 2021, section 3.2.
#pragma once

#include "marrow/loss/options.h"
#include "marrow/train/torch/torch.h"

namespace marrow::train {

using loss::AssignerOptions;

// The objects of a batch, padded to M >= 0 an image.
struct PaddedObjects {
  torch::Tensor labels;  // (N, M) int64
  torch::Tensor boxes;   // (N, M, 4) float32, xyxy pixels; zeros in the padding
  torch::Tensor valid;   // (N, M) bool
};

struct Assignment {
  // (N, A), float32 or float64 as the boxes: the anchor's soft class target, the share of its object's
  // largest IoU that it earns by its alignment. Positive on the foreground, 0 on the background.
  torch::Tensor weights;
  torch::Tensor foreground;  // (N, A) bool: weights > 0
  torch::Tensor object;      // (N, A) int64: which of its image's objects; meaningless on the background
};

// (N, M, A) bool: the anchor, one of (A, 2) points in pixels, lies strictly inside the object's box.
torch::Tensor anchors_inside(const torch::Tensor& anchors, const PaddedObjects& objects,
                             double smallest_side = 0);

// No gradient flows through it; all on one device.
//   logits (N, C, A) of the classes        boxes (N, A, 4) predicted xyxy, pixels; float32 or float64
//   anchors (A, 2) cell centres, pixels
// An anchor wanted by several objects goes to the one it overlaps most. Overlap is CIoU (iou.h), at
// least 0.
Assignment assign(const torch::Tensor& logits, const torch::Tensor& boxes, const torch::Tensor& anchors,
                  const PaddedObjects& objects, const AssignerOptions& options);

}  // namespace marrow::train
