// The probabilistic IoU: how much two turned boxes overlap, seen as Gaussians, and its gradient.
// Source: Gaussian Bounding Boxes and Probabilistic Intersection-over-Union, Llerena et al. 2021.
#pragma once

#include <array>

#include "marrow/geometry/rotated_box.h"

namespace marrow {

// A turned box as a Gaussian. `floor` is added to both variances of its sides (the square of its unit).
struct GaussianBox {
  GaussianBox() = default;
  GaussianBox(double cx, double cy, double width, double height, double angle, double floor = 0);
  template <class Space, class T>
  explicit GaussianBox(const RotatedBox<Space, T>& box, double floor = 0)
      : GaussianBox(box.cx, box.cy, box.width, box.height, box.angle, floor) {}

  double x = 0, y = 0;
  double a = 0, b = 0, c = 0;  // covariance: of x, of y, of both
  double determinant = 0;      // at least 0
};

// From about 0 to 0.9996: equal boxes do not reach 1.
double probiou(const GaussianBox& p, const GaussianBox& q);

// Whether it exceeds `threshold`, found sooner where the boxes lie apart.
bool probiou_exceeds(const GaussianBox& p, const GaussianBox& q, double threshold);

// The Bhattacharyya distance below which the IoU exceeds a threshold, and the IoU at a distance.
double distance_at_probiou(double iou);
double probiou_at_distance(double distance);

struct ProbiouAndGradient {
  double iou = 0;
  std::array<double, 5> gradient = {};  // towards the first box's cx, cy, width, height, angle
};
ProbiouAndGradient probiou_gradient(const RotatedBox<void, double>& p, const RotatedBox<void, double>& q,
                                    double floor);

}  // namespace marrow
