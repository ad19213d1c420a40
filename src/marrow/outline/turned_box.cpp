#include "marrow/outline/turned_box.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

#include "marrow/outline/clipped.h"
#include "marrow/outline/resample.h"

namespace marrow::outline {
namespace {

constexpr double kPi = std::numbers::pi;

double folded(double angle) {
  while (angle >= 3 * kPi / 4) angle -= kPi;
  while (angle < -kPi / 4) angle += kPi;
  return angle;
}

// Around the points, its width along the angle.
RotatedBox<ImagePixels> enclosing(std::span<const Point<ImagePixels>> points, double angle) {
  const double cosine = std::cos(angle), sine = std::sin(angle);
  double u1 = INFINITY, u2 = -INFINITY, v1 = INFINITY, v2 = -INFINITY;
  for (const auto& [x, y] : points) {
    const double u = x * cosine + y * sine, v = y * cosine - x * sine;
    u1 = std::min(u1, u);
    u2 = std::max(u2, u);
    v1 = std::min(v1, v);
    v2 = std::max(v2, v);
  }
  const double u = (u1 + u2) / 2, v = (v1 + v2) / 2;
  return {static_cast<float>(u * cosine - v * sine), static_cast<float>(u * sine + v * cosine),
          static_cast<float>(u2 - u1), static_cast<float>(v2 - v1), static_cast<float>(angle)};
}

}  // namespace

RotatedBox<ImagePixels> turned_box(std::span<const Point<ImagePixels>> points) {
  if (points.empty() || !are_finite(points)) return {};
  std::vector<cv::Point2f> corners;
  corners.reserve(points.size());
  for (const auto& [x, y] : points) corners.emplace_back(x, y);
  const cv::RotatedRect found = cv::minAreaRect(corners);
  float width = found.size.width, height = found.size.height;
  double angle = found.angle * kPi / 180;
  if (width < height) {
    std::swap(width, height);
    angle += kPi / 2;
  }
  return {found.center.x, found.center.y, width, height, static_cast<float>(folded(angle))};
}

void clip_turned(std::vector<Point<ImagePixels>>& points, Box<ImagePixels>& bounds, Size picture) {
  const Box<ImagePixels> whole = box_around(points);
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  if (whole.x1 >= 0 && whole.y1 >= 0 && whole.x2 <= w && whole.y2 <= h) return;
  std::vector<Point<ImagePixels>> part;
  if (are_finite(points)) part = clip_polygon(convex_hull(points), picture);
  if (part.empty() || signed_area(part) == 0) {
    std::ranges::fill(points, Point<ImagePixels>{});
    bounds = {};
    return;
  }
  bounds = box_around(part);
  const auto corners = enclosing(part, turned_box(points).angle).corners();
  points = resampled(std::span<const Point<ImagePixels>>(corners), points.size());
}

}  // namespace marrow::outline
