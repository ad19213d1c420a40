#include "marrow/outline/clipped.h"

#include <algorithm>
#include <cmath>

namespace marrow::outline {
namespace {

struct Bounds {
  double x1 = INFINITY, y1 = INFINITY, x2 = -INFINITY, y2 = -INFINITY;
  void add(double x, double y) {
    x1 = std::min(x1, x);
    x2 = std::max(x2, x);
    y1 = std::min(y1, y);
    y2 = std::max(y2, y);
  }
  bool empty() const { return x1 > x2; }
  Box<ImagePixels> box() const {
    return {static_cast<float>(x1), static_cast<float>(y1), static_cast<float>(x2), static_cast<float>(y2)};
  }
};

// By the even-odd rule; its sides belong to it.
bool contains(std::span<const PixelPoint> polygon, double x, double y) {
  bool inside = false;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const PixelPoint &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    const double ax = a.x - x, ay = a.y - y, bx = b.x - x, by = b.y - y;
    const double cross = ax * by - bx * ay;
    if (cross == 0 && std::min(ax, bx) <= 0 && std::max(ax, bx) >= 0 && std::min(ay, by) <= 0 &&
        std::max(ay, by) >= 0)
      return true;
    if ((ay > 0) != (by > 0) && (cross > 0) == (by > ay)) inside = !inside;
  }
  return inside;
}

// Cuts off what lies beyond one border.
std::vector<PixelPoint> clip_against(std::span<const PixelPoint> polygon, float PixelPoint::*axis,
                                     float limit, bool keep_below) {
  std::vector<PixelPoint> kept;
  kept.reserve(polygon.size() + 4);
  const auto inside = [&](const PixelPoint& p) { return keep_below ? p.*axis <= limit : p.*axis >= limit; };
  for (size_t i = 0; i < polygon.size(); ++i) {
    const PixelPoint& from = polygon[i];
    const PixelPoint& to = polygon[(i + 1) % polygon.size()];
    if (inside(from)) kept.push_back(from);
    if (inside(from) == inside(to)) continue;
    const float part = (limit - from.*axis) / (to.*axis - from.*axis);
    PixelPoint crossing{from.x + part * (to.x - from.x), from.y + part * (to.y - from.y)};
    crossing.*axis = limit;
    kept.push_back(crossing);
  }
  return kept;
}

}  // namespace

bool are_finite(std::span<const PixelPoint> points) {
  return std::ranges::all_of(points,
                             [](const PixelPoint& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
}

Box<ImagePixels> box_around(std::span<const PixelPoint> points) {
  const PixelPoint& first = points.front();
  Box<ImagePixels> box = {first.x, first.y, first.x, first.y};
  for (const PixelPoint& p : points)
    box = {std::min(box.x1, p.x), std::min(box.y1, p.y), std::max(box.x2, p.x), std::max(box.y2, p.y)};
  return box;
}

Box<ImagePixels> clipped_bounds(std::span<const PixelPoint> polygon, Size picture) {
  if (polygon.empty() || !are_finite(polygon)) return {};
  const double w = picture.width, h = picture.height;
  const Box<ImagePixels> whole = box_around(polygon);
  if (whole.x1 >= 0 && whole.y1 >= 0 && whole.x2 <= w && whole.y2 <= h) return whole;
  if (whole.x2 < 0 || whole.y2 < 0 || whole.x1 > w || whole.y1 > h) return {};
  Bounds bounds;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const PixelPoint &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    if (a.x >= 0 && a.x <= w && a.y >= 0 && a.y <= h) bounds.add(a.x, a.y);
    const double dx = double{b.x} - a.x, dy = double{b.y} - a.y;
    for (const double border : {0.0, w})
      if ((a.x < border) != (b.x < border))
        if (const double y = a.y + (border - a.x) / dx * dy; y >= 0 && y <= h) bounds.add(border, y);
    for (const double border : {0.0, h})
      if ((a.y < border) != (b.y < border))
        if (const double x = a.x + (border - a.y) / dy * dx; x >= 0 && x <= w) bounds.add(x, border);
  }
  for (const double x : {0.0, w})
    for (const double y : {0.0, h})
      if (contains(polygon, x, y)) bounds.add(x, y);
  return bounds.empty() ? Box<ImagePixels>{} : bounds.box();
}

double signed_area(std::span<const PixelPoint> polygon) {
  double twice = 0;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const PixelPoint &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    twice += double{a.x} * b.y - double{b.x} * a.y;
  }
  return twice / 2;
}

std::vector<PixelPoint> convex_hull(std::span<const PixelPoint> points) {
  std::vector<PixelPoint> sorted(points.begin(), points.end());
  std::ranges::sort(
      sorted, [](const PixelPoint& a, const PixelPoint& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (sorted.size() < 3) return sorted;
  std::vector<PixelPoint> hull;
  const auto turn = [](const PixelPoint& o, const PixelPoint& a, const PixelPoint& b) {
    return (double{a.x} - o.x) * (double{b.y} - o.y) - (double{a.y} - o.y) * (double{b.x} - o.x);
  };
  const auto add_chain = [&](auto begin, auto end) {
    const size_t start = hull.size();
    for (auto point = begin; point != end; ++point) {
      while (hull.size() >= start + 2 && turn(hull[hull.size() - 2], hull.back(), *point) <= 0)
        hull.pop_back();
      hull.push_back(*point);
    }
    hull.pop_back();  // the next chain begins with it
  };
  add_chain(sorted.begin(), sorted.end());
  add_chain(sorted.rbegin(), sorted.rend());
  return hull;
}

std::vector<PixelPoint> clip_polygon(std::span<const PixelPoint> polygon, Size picture) {
  std::vector<PixelPoint> result(polygon.begin(), polygon.end());
  result = clip_against(result, &PixelPoint::x, 0.0f, false);
  result = clip_against(result, &PixelPoint::x, static_cast<float>(picture.width), true);
  result = clip_against(result, &PixelPoint::y, 0.0f, false);
  return clip_against(result, &PixelPoint::y, static_cast<float>(picture.height), true);
}

}  // namespace marrow::outline
