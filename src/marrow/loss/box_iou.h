// The complete IoU of two boxes and its gradient.
// Source: Distance-IoU, Zheng et al. 2020.
#pragma once

#include <array>

namespace marrow::loss {

// Sides in any one unit. A height gets 1e-7 added, a width does not: so did the published weights' training.
struct MeasuredBox {
  MeasuredBox() = default;
  MeasuredBox(double x1, double y1, double x2, double y2);

  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  double width = 0, height = 0;
  double angle = 0;  // atan(width / height)
};

double complete_iou(const MeasuredBox& a, const MeasuredBox& b);

struct IouAndGradient {
  double iou = 0;
  std::array<double, 4> gradient = {};  // with respect to a's x1, y1, x2, y2
};
// The weight alpha of the aspect term is a constant for the gradient, as its authors detach it. Where two
// sides are equal each has half of the gradient of their minimum or maximum.
IouAndGradient complete_iou_gradient(const MeasuredBox& a, const MeasuredBox& b);

}  // namespace marrow::loss
