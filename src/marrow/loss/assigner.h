// The task-aligned assigner: decides which predictions are trained towards which object.
// Source: TOOD: Task-aligned One-stage Object Detection, Feng et al. 2021, section 3.2.
#pragma once

#include <span>
#include <vector>

#include "marrow/loss/anchors.h"
#include "marrow/loss/box_iou.h"
#include "marrow/loss/map_view.h"
#include "marrow/loss/objects.h"
#include "marrow/loss/options.h"

namespace marrow::loss {

struct AssignedAnchor {
  int64_t anchor = 0;
  int64_t object = 0;  // in Objects
  // The soft class target, the share of its object's largest IoU that the anchor earns by its alignment.
  float weight = 0;

  bool operator==(const AssignedAnchor&) const = default;
};

struct ImageAssignment {
  std::vector<AssignedAnchor> foreground;  // whose weight is positive, by anchor; one object an anchor
  double total = 0;  // of the weights; NaN where a prediction inside an object is not a number
};

// One image's objects and predictions.
//   logits: (N, C, H, W) of the classes, one a level
//   boxes: (A) in pixels, read where mark_inside() marks
//
// An object picks, of the anchors inside its box, those among the top_k of all anchors by alignment, which is
// 0 for anchors outside. Where several pick one anchor, the largest overlap of all decides, even that of an
// object that had not picked it; of equal ones the first object. Overlap is the complete IoU, at least 0.
//
// Where fewer than top_k anchors have an alignment, or some have the same, the standard library's
// partial_sort over all anchors decides (nth_element where they are fewer than 64 top_k). What is picked
// with an alignment of 0 stays background, but makes an anchor contested. So it is in LibTorch, whose
// trainings are recorded; alignments and weights are rounded to float32, as there.
template <class T>
ImageAssignment assign(std::span<const AnchorLevel> levels, std::span<const MapView<const T>> logits,
                       int64_t image, std::span<const MeasuredBox> boxes, const Objects& objects,
                       const AssignerOptions& options);

}  // namespace marrow::loss
