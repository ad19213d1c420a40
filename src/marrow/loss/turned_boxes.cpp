#include "marrow/loss/turned_boxes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace marrow::loss {
namespace {

// Between opposite sides: along both edges from one corner, borders included. In float32, as the objects are
// recorded.
class InsideTest {
 public:
  explicit InsideTest(const TurnedBox& box) {
    const auto corners = box.corners();
    origin_ = corners[0];
    for (const size_t i : {size_t{1}, size_t{3}}) {
      const float x = corners[i].x - origin_.x, y = corners[i].y - origin_.y;
      edges_.push_back({x, y, x * x + y * y});
    }
  }
  bool operator()(float x, float y) const {
    return std::ranges::all_of(edges_, [&](const Edge& edge) {
      const float along = (x - origin_.x) * edge.x + (y - origin_.y) * edge.y;
      return along >= 0 && along <= edge.square;
    });
  }

 private:
  struct Edge {
    float x = 0, y = 0, square = 0;
  };
  Point<void> origin_;
  std::vector<Edge> edges_;
};

}  // namespace

double angle_of(double logit) {
  return (1 / (1 + std::exp(-logit)) - 0.25) * std::numbers::pi;
}

double angle_slope(double logit) {
  const double share = 1 / (1 + std::exp(-logit));
  return std::numbers::pi * share * (1 - share);
}

ExactBox box_of_sides(double x, double y, const Sides& sides, double angle) {
  const double left = sides.distance(0), top = sides.distance(1), right = sides.distance(2),
               bottom = sides.distance(3);
  const double across = (right - left) / 2, down = (bottom - top) / 2;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  return {x + across * cosine - down * sine, y + across * sine + down * cosine, left + right, top + bottom,
          angle};
}

TurnedShapes::TurnedShapes(const Objects& objects, int64_t image, std::span<const ExactBox> boxes,
                           double smallest_side)
    : objects_(objects),
      first_(objects.first[static_cast<size_t>(image)]),
      boxes_(boxes),
      smallest_side_(static_cast<float>(smallest_side)) {
  for (int64_t object = first_; object < objects.first[static_cast<size_t>(image) + 1]; ++object)
    shapes_.emplace_back(objects.turned[static_cast<size_t>(object)]);
}

void TurnedShapes::for_each_row_inside(std::span<const AnchorLevel> levels, int64_t object,
                                       const VisitRow& visit) const {
  TurnedBox box = objects_.turned[static_cast<size_t>(object)];
  box.width = std::max(box.width, smallest_side_);
  box.height = std::max(box.height, smallest_side_);
  const InsideTest inside(box);
  Box<void> around = box.bounds();
  constexpr float kMargin = 1;  // pixels, since borders count
  around = {around.x1 - kMargin, around.y1 - kMargin, around.x2 + kMargin, around.y2 + kMargin};
  loss::for_each_row_inside(levels, BoxXyxy{around.x1, around.y1, around.x2, around.y2},
                            [&](const AnchorLevel& level, int64_t y, int64_t x_begin, int64_t x_end) {
                              const auto centre = [&](int64_t cell) {
                                return (static_cast<float>(cell) + 0.5F) * static_cast<float>(level.stride);
                              };
                              for (int64_t x = x_begin; x < x_end; ++x)
                                if (inside(centre(x), centre(y))) visit(level, y, x, x + 1);
                            });
}

double TurnedShapes::overlap(int64_t object, int64_t anchor) const {
  return std::max(probiou(shapes_[static_cast<size_t>(object - first_)],
                          GaussianBox(boxes_[static_cast<size_t>(anchor)])),
                  0.0);
}

bool TurnedShapes::is_finite(int64_t anchor) const {
  return marrow::is_finite(boxes_[static_cast<size_t>(anchor)]);
}

}  // namespace marrow::loss
