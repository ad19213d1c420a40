#include "marrow/data/tools/synth_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

namespace marrow::data {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kRingHole = 0.55;   // radius of the hole
constexpr double kCrossArm = 0.3;    // half the width of an arm
constexpr double kStarWaist = 0.42;  // radius of the inner corners

struct Corner {
  double x, y;
};

// The distance to a polygon, negative inside (Quilez, "2D distance functions").
double polygon_distance(std::span<const Corner> corners, double x, double y) {
  double squared = 1e30;
  bool inside = false;
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Corner a = corners[i], b = corners[j];
    const double ex = b.x - a.x, ey = b.y - a.y, wx = x - a.x, wy = y - a.y;
    const double along = std::clamp((wx * ex + wy * ey) / (ex * ex + ey * ey), 0.0, 1.0);
    const double dx = wx - ex * along, dy = wy - ey * along;
    squared = std::min(squared, dx * dx + dy * dy);
    if ((a.y > y) != (b.y > y) && x < ex * (y - a.y) / ey + a.x) inside = !inside;
  }
  return inside ? -std::sqrt(squared) : std::sqrt(squared);
}

// Corners on circles of two radii in turn, the first straight up.
template <size_t N>
std::array<Corner, N> star_corners(double outer, double inner) {
  std::array<Corner, N> corners;
  for (size_t i = 0; i < N; ++i) {
    const double angle = 2 * kPi * static_cast<double>(i) / N, radius = i % 2 == 0 ? outer : inner;
    corners[i] = {radius * std::sin(angle), -radius * std::cos(angle)};
  }
  return corners;
}

double box_distance(double x, double y, double half_width, double half_height) {
  const double dx = std::abs(x) - half_width, dy = std::abs(y) - half_height;
  return std::hypot(std::max(dx, 0.0), std::max(dy, 0.0)) + std::min(std::max(dx, dy), 0.0);
}

}  // namespace

std::string_view synth_shape_name(SynthShape shape) {
  switch (shape) {
    case SynthShape::kDisc:
      return "disc";
    case SynthShape::kSquare:
      return "square";
    case SynthShape::kTriangle:
      return "triangle";
    case SynthShape::kStar:
      return "star";
    case SynthShape::kRing:
      return "ring";
    case SynthShape::kCross:
      break;
  }
  return "cross";
}

double shape_distance(SynthShape shape, double x, double y) {
  switch (shape) {
    case SynthShape::kDisc:
      return std::hypot(x, y) - 1;
    case SynthShape::kSquare:
      return box_distance(x, y, 0.8, 0.8);
    case SynthShape::kTriangle: {
      static const std::array<Corner, 3> corners = star_corners<3>(1, 1);
      return polygon_distance(corners, x, y);
    }
    case SynthShape::kStar: {
      static const std::array<Corner, 10> corners = star_corners<10>(1, kStarWaist);
      return polygon_distance(corners, x, y);
    }
    case SynthShape::kRing: {
      const double radius = std::hypot(x, y);
      return std::max(radius - 1, kRingHole - radius);
    }
    case SynthShape::kCross:
      break;
  }
  return std::min(box_distance(x, y, 1, kCrossArm), box_distance(x, y, kCrossArm, 1));
}

}  // namespace marrow::data
