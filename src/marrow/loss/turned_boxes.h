// Turned boxes of a head: which anchors lie inside objects, what the head predicts there, and how the two
// overlap.
#pragma once

#include <span>
#include <vector>

#include "marrow/geometry/probiou.h"
#include "marrow/loss/assigner.h"
#include "marrow/loss/sides.h"

namespace marrow::loss {

using ExactBox = RotatedBox<void, double>;

// Angle of a logit, radians, and its slope.
double angle_of(double logit);
double angle_slope(double logit);

// The box that sides, in cells, and an angle make around a cell's centre; in cells.
ExactBox box_of_sides(double x, double y, const Sides& sides, double angle);

// Turned objects and predictions of one image: the probabilistic IoU. boxes: (A) in pixels, read where an
// anchor lies inside an object, its border included. A side below `smallest_side` is so long there.
class TurnedShapes final : public Shapes {
 public:
  TurnedShapes(const Objects& objects, int64_t image, std::span<const ExactBox> boxes, double smallest_side);
  void for_each_row_inside(std::span<const AnchorLevel> levels, int64_t object,
                           const VisitRow& visit) const override;
  double overlap(int64_t object, int64_t anchor) const override;
  bool is_finite(int64_t anchor) const override;

 private:
  const Objects& objects_;
  int64_t first_;                    // object of the image
  std::vector<GaussianBox> shapes_;  // of the image's objects
  std::span<const ExactBox> boxes_;
  float smallest_side_;
};

}  // namespace marrow::loss
