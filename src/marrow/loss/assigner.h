// The task-aligned assigner: decides which predictions are trained towards which object.
// Source: TOOD: Task-aligned One-stage Object Detection, Feng et al. 2021, section 3.2.
#pragma once

#include <functional>
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
  // By anchor, one object an anchor. Those of weight 0 are there with options.with_unweighted alone.
  std::vector<AssignedAnchor> foreground;
  double total = 0;  // of the weights; NaN where a prediction inside an object is not a number
};

// What the assigner asks of one image's boxes, be they upright or turned. Objects have the numbers that
// Objects gives them.
class Shapes {
 public:
  // function(level, y, x_begin, x_end)
  using VisitRow = std::function<void(const AnchorLevel&, int64_t, int64_t, int64_t)>;

  virtual ~Shapes() = default;
  // Every run of anchors inside an object, in their order.
  virtual void for_each_row_inside(std::span<const AnchorLevel> levels, int64_t object,
                                   const VisitRow& visit) const = 0;
  // Of an object and the box predicted at an anchor inside it; 0 where they do not overlap.
  virtual double overlap(int64_t object, int64_t anchor) const = 0;
  virtual bool is_finite(int64_t anchor) const = 0;  // the predicted box
};

// Upright boxes. boxes: (A) in pixels, read where mark_inside() marks. Overlap is the complete IoU, at least
// 0.
class UprightShapes final : public Shapes {
 public:
  UprightShapes(const Objects& objects, int64_t image, std::span<const MeasuredBox> boxes,
                double smallest_side);
  void for_each_row_inside(std::span<const AnchorLevel> levels, int64_t object,
                           const VisitRow& visit) const override;
  double overlap(int64_t object, int64_t anchor) const override;
  bool is_finite(int64_t anchor) const override;

 private:
  size_t place(int64_t object) const { return static_cast<size_t>(object - first_); }

  int64_t first_;                     // object of the image
  std::vector<MeasuredBox> objects_;  // of the image
  std::vector<BoxXyxy> search_;       // where anchors are looked for
  std::span<const MeasuredBox> boxes_;
};

// One image's objects and predictions.
//   logits: (N, C, H, W) of the classes, one a level
//
// An object picks, of the anchors inside its box, those among the top_k of all anchors by alignment, which is
// 0 for anchors outside. Where several pick one anchor, the largest overlap of all decides, even that of an
// object that had not picked it; of equal ones the first object.
//
// Where fewer than top_k anchors have an alignment, or some have the same, the standard library's
// partial_sort over all anchors decides (nth_element where they are fewer than 64 top_k). What is picked
// with an alignment of 0 stays background unless options.with_unweighted, but makes an anchor contested. So
// it is in LibTorch, whose trainings are recorded; alignments and weights are rounded to float32, as there.
template <class T>
ImageAssignment assign(std::span<const AnchorLevel> levels, std::span<const MapView<const T>> logits,
                       int64_t image, const Shapes& shapes, const Objects& objects,
                       const AssignerOptions& options);

}  // namespace marrow::loss
