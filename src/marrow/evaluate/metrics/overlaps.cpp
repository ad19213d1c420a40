#include "marrow/evaluate/metrics/overlaps.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace marrow::evaluate {
namespace {

using Corner = std::array<double, 2>;

double cross(const Corner& origin, const Corner& a, const Corner& b) {
  return (a[0] - origin[0]) * (b[1] - origin[1]) - (a[1] - origin[1]) * (b[0] - origin[0]);
}

double area_of(const std::vector<Corner>& polygon) {
  double twice = 0;
  for (size_t i = 1; i + 1 < polygon.size(); ++i) twice += cross(polygon[0], polygon[i], polygon[i + 1]);
  return twice / 2;
}

// Counter-clockwise where y points up.
std::vector<Corner> oriented(const Quadrilateral& quadrilateral) {
  std::vector<Corner> polygon(quadrilateral.begin(), quadrilateral.end());
  if (area_of(polygon) < 0) std::ranges::reverse(polygon);
  return polygon;
}

// What of a polygon lies to the left of the line through two points.
std::vector<Corner> cut(const std::vector<Corner>& polygon, const Corner& from, const Corner& to) {
  std::vector<Corner> kept;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const Corner &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    const double side_a = cross(from, to, a), side_b = cross(from, to, b);
    if (side_a >= 0) kept.push_back(a);
    if ((side_a > 0 && side_b < 0) || (side_a < 0 && side_b > 0)) {
      const double share = side_a / (side_a - side_b);
      kept.push_back({a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])});
    }
  }
  return kept;
}

}  // namespace

float mask_iou(const MaskPart& a, const MaskPart& b) {
  const auto shared = static_cast<float>(shared_pixels(a, b));
  return shared / (static_cast<float>(a.mask.area()) + static_cast<float>(b.mask.area()) - shared + 1e-7f);
}

float keypoint_similarity(KeypointSpan<InputPixels> truth, KeypointSpan<InputPixels> found,
                          std::span<const double> sigmas, float area) {
  constexpr float kEps = 1e-7f;
  float sum = 0, count = 0;
  for (size_t k = 0; k < truth.size(); ++k) {
    if (truth[k].visibility == 0) continue;
    const float x = truth[k].x - found[k].x, y = truth[k].y - found[k].y;
    const auto sigma = static_cast<float>(2 * sigmas[k]);
    sum += std::exp(-(x * x + y * y) / (sigma * sigma * (area + kEps) * 2));
    ++count;
  }
  return sum / (count + kEps);
}

float keypoint_area(const Box<InputPixels>& box) {
  constexpr float kFilled = 0.53f;
  return box.width() * box.height() * kFilled;
}

double coco_keypoint_similarity(KeypointSpan<ImagePixels> truth, KeypointSpan<ImagePixels> found,
                                std::span<const double> sigmas, const CocoBox& box, double area) {
  const bool labelled = std::ranges::any_of(truth, [](const auto& point) { return point.visibility > 0; });
  double sum = 0, count = 0;
  for (size_t k = 0; k < truth.size(); ++k) {
    if (labelled && !(truth[k].visibility > 0)) continue;
    double x = double{found[k].x} - truth[k].x, y = double{found[k].y} - truth[k].y;
    if (!labelled) {
      const auto outside = [](double at, double low, double size) {
        return std::max(0.0, low - size - at) + std::max(0.0, at - (low + 2 * size));
      };
      x = outside(found[k].x, box.x, box.width);
      y = outside(found[k].y, box.y, box.height);
    }
    const double variance = 4 * sigmas[k] * sigmas[k];
    sum += std::exp(-(x * x + y * y) / (variance * (area + std::numeric_limits<double>::epsilon()) * 2));
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

double polygon_iou(const Quadrilateral& a, const Quadrilateral& b) {
  const std::vector<Corner> first = oriented(a), second = oriented(b);
  const double area_a = area_of(first), area_b = area_of(second);
  if (!(area_a > 0) || !(area_b > 0)) return 0;
  std::vector<Corner> shared = first;
  for (size_t i = 0; i < second.size() && !shared.empty(); ++i)
    shared = cut(shared, second[i], second[(i + 1) % second.size()]);
  const double area = area_of(shared);
  return area / (area_a + area_b - area);
}

}  // namespace marrow::evaluate
