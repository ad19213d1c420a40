#include "marrow/loss/box_iou.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace marrow::loss {
namespace {

constexpr double kEps = 1e-7;
constexpr double kAspectScale = 4 / (std::numbers::pi * std::numbers::pi);

// What the value and its gradient share.
struct Parts {
  Parts(const MeasuredBox& a, const MeasuredBox& b)
      : overlap_x(std::min(a.x2, b.x2) - std::max(a.x1, b.x1)),
        overlap_y(std::min(a.y2, b.y2) - std::max(a.y1, b.y1)),
        intersection(std::max(overlap_x, 0.0) * std::max(overlap_y, 0.0)),
        united(a.width * a.height + b.width * b.height - intersection + kEps),
        iou(intersection / united),
        around_x(std::max(a.x2, b.x2) - std::min(a.x1, b.x1)),
        around_y(std::max(a.y2, b.y2) - std::min(a.y1, b.y1)),
        diagonal(around_x * around_x + around_y * around_y + kEps),
        apart_x(b.x1 + b.x2 - a.x1 - a.x2),
        apart_y(b.y1 + b.y2 - a.y1 - a.y2),
        distance((apart_x * apart_x + apart_y * apart_y) / 4),
        turn(b.angle - a.angle),
        aspect(kAspectScale * turn * turn),
        alpha(aspect / (aspect - iou + (1 + kEps))) {}

  double value() const { return iou - (distance / diagonal + aspect * alpha); }

  double overlap_x, overlap_y, intersection, united, iou;
  double around_x, around_y, diagonal;  // of the smallest box around both
  double apart_x, apart_y, distance;    // between the centres: twice the sides, and squared
  double turn, aspect, alpha;
};

// d min(a, b) / da, and of a maximum with the arguments swapped.
double share_of_smaller(double a, double b) {
  return a < b ? 1 : a > b ? 0 : 0.5;
}

}  // namespace

MeasuredBox::MeasuredBox(double x1, double y1, double x2, double y2)
    : x1(x1),
      y1(y1),
      x2(x2),
      y2(y2),
      width(x2 - x1),
      height(y2 - y1 + kEps),
      angle(std::atan(width / height)) {}

double complete_iou(const MeasuredBox& a, const MeasuredBox& b) {
  return Parts(a, b).value();
}

IouAndGradient complete_iou_gradient(const MeasuredBox& a, const MeasuredBox& b) {
  const Parts p(a, b);
  // Towards the width and height of the intersection, of a, and of the box around both.
  const double of_intersection = (p.united + p.intersection) / (p.united * p.united);
  const double of_area = -p.intersection / (p.united * p.united);
  const double of_overlap_x = p.overlap_x >= 0 ? of_intersection * std::max(p.overlap_y, 0.0) : 0;
  const double of_overlap_y = p.overlap_y >= 0 ? of_intersection * std::max(p.overlap_x, 0.0) : 0;
  const double of_diagonal = p.distance / (p.diagonal * p.diagonal);
  const double of_around_x = of_diagonal * 2 * p.around_x, of_around_y = of_diagonal * 2 * p.around_y;
  const double of_angle = p.alpha * kAspectScale * 2 * p.turn;
  const double square = a.width * a.width + a.height * a.height;
  const double of_width = of_area * a.height + of_angle * a.height / square;
  const double of_height = of_area * a.width - of_angle * a.width / square;
  const double of_centre_x = p.apart_x / (2 * p.diagonal), of_centre_y = p.apart_y / (2 * p.diagonal);
  return {p.value(),
          {-of_overlap_x * share_of_smaller(b.x1, a.x1) - of_around_x * share_of_smaller(a.x1, b.x1) -
               of_width + of_centre_x,
           -of_overlap_y * share_of_smaller(b.y1, a.y1) - of_around_y * share_of_smaller(a.y1, b.y1) -
               of_height + of_centre_y,
           of_overlap_x * share_of_smaller(a.x2, b.x2) + of_around_x * share_of_smaller(b.x2, a.x2) +
               of_width + of_centre_x,
           of_overlap_y * share_of_smaller(a.y2, b.y2) + of_around_y * share_of_smaller(b.y2, a.y2) +
               of_height + of_centre_y}};
}

}  // namespace marrow::loss
