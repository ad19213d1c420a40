#include "marrow/loader/augment/sample.h"

#include <algorithm>
#include <cmath>

#include "marrow/geometry/letterbox.h"
#include "marrow/image/network_input.h"

namespace marrow::loader {
namespace {

using PixelPoint = Point<ImagePixels>;

// Cuts off what lies beyond one border: coordinate(p) * sign <= limit * sign is kept.
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

Box<ImagePixels> to_pixels(const CentredBox<Normalised>& box, Size image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  const Box<Normalised> shares = box.corner_form();
  return {shares.x1 * w, shares.y1 * h, shares.x2 * w, shares.y2 * h};
}

CentredBox<Normalised> normalised(const Box<ImagePixels>& box, Size image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  return {(box.x1 + box.x2) / 2 / w, (box.y1 + box.y2) / 2 / h, box.width() / w, box.height() / h};
}

Box<ImagePixels> scaled_and_shifted(const Box<ImagePixels>& box, float scale_x, float scale_y, float shift_x,
                                    float shift_y) {
  return {box.x1 * scale_x + shift_x, box.y1 * scale_y + shift_y, box.x2 * scale_x + shift_x,
          box.y2 * scale_y + shift_y};
}

void scale_and_shift(Object& object, float scale_x, float scale_y, float shift_x, float shift_y) {
  object.box = scaled_and_shifted(object.box, scale_x, scale_y, shift_x, shift_y);
  for (PixelPoint& p : object.polygon) p = {p.x * scale_x + shift_x, p.y * scale_y + shift_y};
}

std::vector<PixelPoint> clip_polygon(std::span<const PixelPoint> polygon, Size picture) {
  std::vector<PixelPoint> result(polygon.begin(), polygon.end());
  result = clip_against(result, &PixelPoint::x, 0.0f, false);
  result = clip_against(result, &PixelPoint::x, static_cast<float>(picture.width), true);
  result = clip_against(result, &PixelPoint::y, 0.0f, false);
  return clip_against(result, &PixelPoint::y, static_cast<float>(picture.height), true);
}

Box<ImagePixels> box_around(std::span<const PixelPoint> points) {
  const PixelPoint& first = points.front();
  Box<ImagePixels> box = {first.x, first.y, first.x, first.y};
  for (const PixelPoint& p : points)
    box = {std::min(box.x1, p.x), std::min(box.y1, p.y), std::max(box.x2, p.x), std::max(box.y2, p.y)};
  return box;
}

Box<ImagePixels> clipped(const Box<ImagePixels>& box, Size image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  return {std::clamp(box.x1, 0.0f, w), std::clamp(box.y1, 0.0f, h), std::clamp(box.x2, 0.0f, w),
          std::clamp(box.y2, 0.0f, h)};
}

void clip_and_drop(std::vector<Object>& objects, Size picture) {
  for (Object& object : objects) {
    object.box = clipped(object.box, picture);
    if (!object.polygon.empty()) object.polygon = clip_polygon(object.polygon, picture);
  }
  // Written so that a NaN goes too.
  std::erase_if(objects, [](const Object& object) { return !(object.box.area() > 0.0f); });
}

void clip_and_drop(std::vector<Box<ImagePixels>>& boxes, Size picture) {
  for (Box<ImagePixels>& box : boxes) box = clipped(box, picture);
  std::erase_if(boxes, [](const Box<ImagePixels>& box) { return !(box.area() > 0.0f); });
}

float intersection_area(const Box<ImagePixels>& a, const Box<ImagePixels>& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0.0f;
}

Sample letterbox_sample(const SharedSample& sample, Size target, bool scale_up) {
  const Letterbox geometry = letterbox_geometry(size_of(*sample.image), target, {.scale_up = scale_up});
  Sample result{image::letterbox(*sample.image, geometry), sample.objects};
  const auto ratio = static_cast<float>(geometry.ratio);
  const auto left = static_cast<float>(geometry.left), top = static_cast<float>(geometry.top);
  for (Object& object : result.objects) scale_and_shift(object, ratio, ratio, left, top);
  for (const Box<ImagePixels>& box : sample.ignored)
    result.ignored.push_back(scaled_and_shifted(box, ratio, ratio, left, top));
  return result;
}

}  // namespace marrow::loader
