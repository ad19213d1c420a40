#include "marrow/loader/augment/sample.h"

#include <algorithm>
#include <cmath>

namespace marrow::loader {
namespace {

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

Object object_from_normalised(int class_id, float cx, float cy, float width, float height,
                              detect::Size picture) {
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  return {class_id, (cx - width / 2) * w, (cy - height / 2) * h, (cx + width / 2) * w, (cy + height / 2) * h,
          {}};
}

NormalisedBox normalised(const Object& object, detect::Size picture) {
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  return {(object.x1 + object.x2) / 2 / w, (object.y1 + object.y2) / 2 / h, object.width() / w,
          object.height() / h};
}

void scale_and_shift(Object& object, float scale_x, float scale_y, float shift_x, float shift_y) {
  object.x1 = object.x1 * scale_x + shift_x;
  object.x2 = object.x2 * scale_x + shift_x;
  object.y1 = object.y1 * scale_y + shift_y;
  object.y2 = object.y2 * scale_y + shift_y;
  for (PixelPoint& p : object.polygon) p = {p.x * scale_x + shift_x, p.y * scale_y + shift_y};
}

std::vector<PixelPoint> clip_polygon(std::span<const PixelPoint> polygon, detect::Size picture) {
  std::vector<PixelPoint> result(polygon.begin(), polygon.end());
  result = clip_against(result, &PixelPoint::x, 0.0f, false);
  result = clip_against(result, &PixelPoint::x, static_cast<float>(picture.width), true);
  result = clip_against(result, &PixelPoint::y, 0.0f, false);
  return clip_against(result, &PixelPoint::y, static_cast<float>(picture.height), true);
}

void set_box_around(Object& object, std::span<const PixelPoint> points) {
  object.x1 = object.x2 = points.front().x;
  object.y1 = object.y2 = points.front().y;
  for (const PixelPoint& p : points) {
    object.x1 = std::min(object.x1, p.x);
    object.x2 = std::max(object.x2, p.x);
    object.y1 = std::min(object.y1, p.y);
    object.y2 = std::max(object.y2, p.y);
  }
}

void clip_and_drop(std::vector<Object>& objects, detect::Size picture) {
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  for (Object& object : objects) {
    object.x1 = std::clamp(object.x1, 0.0f, w);
    object.x2 = std::clamp(object.x2, 0.0f, w);
    object.y1 = std::clamp(object.y1, 0.0f, h);
    object.y2 = std::clamp(object.y2, 0.0f, h);
    if (!object.polygon.empty()) object.polygon = clip_polygon(object.polygon, picture);
  }
  // Written so that a NaN goes too.
  std::erase_if(objects, [](const Object& object) { return !(object.area() > 0.0f); });
}

float intersection_area(const Object& a, const Object& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0.0f;
}

Sample letterbox_sample(const SharedSample& sample, detect::Size target, bool scale_up) {
  const detect::Letterbox geometry =
      detect::letterbox_geometry(size_of(*sample.image), target, {.scale_up = scale_up});
  Sample result{detect::letterbox(*sample.image, geometry), sample.objects};
  const auto ratio = static_cast<float>(geometry.ratio);
  for (Object& object : result.objects)
    scale_and_shift(object, ratio, ratio, static_cast<float>(geometry.left),
                    static_cast<float>(geometry.top));
  return result;
}

}  // namespace marrow::loader
