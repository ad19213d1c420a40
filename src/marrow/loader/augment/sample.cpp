#include "marrow/loader/augment/sample.h"

#include <algorithm>
#include <cmath>

#include "marrow/geometry/letterbox.h"
#include "marrow/image/network_input.h"
#include "marrow/outline/resample.h"
#include "marrow/outline/turned_box.h"

namespace marrow::loader {
namespace {

using PixelPoint = Point<ImagePixels>;

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
  for (Keypoint<ImagePixels>& p : object.keypoints)
    p = {p.x * scale_x + shift_x, p.y * scale_y + shift_y, p.visibility};
}

Box<ImagePixels> clipped(const Box<ImagePixels>& box, Size image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  return {std::clamp(box.x1, 0.0f, w), std::clamp(box.y1, 0.0f, h), std::clamp(box.x2, 0.0f, w),
          std::clamp(box.y2, 0.0f, h)};
}

void clip(Object& object, Size picture, Task task) {
  const auto w = static_cast<float>(picture.width), h = static_cast<float>(picture.height);
  object.box = clipped(object.box, picture);
  if (task == Task::kObb && !object.polygon.empty())
    outline::clip_turned(object.polygon, object.box, picture);
  else
    for (PixelPoint& p : object.polygon) p = {std::clamp(p.x, 0.0f, w), std::clamp(p.y, 0.0f, h)};
  for (Keypoint<ImagePixels>& p : object.keypoints) {
    if (!(p.x >= 0 && p.x <= w && p.y >= 0 && p.y <= h)) p.visibility = 0;
    p.x = std::isnan(p.x) ? 0 : std::clamp(p.x, 0.0f, w);
    p.y = std::isnan(p.y) ? 0 : std::clamp(p.y, 0.0f, h);
  }
}

void clip_and_drop(std::vector<Object>& objects, Size picture, Task task) {
  for (Object& object : objects) clip(object, picture, task);
  // Written so that a NaN goes too.
  std::erase_if(objects, [](const Object& object) { return !(object.box.area() > 0.0f); });
}

void even_out(std::vector<Object>& objects) {
  size_t longest = 0;
  for (const Object& object : objects) longest = std::max(longest, object.polygon.size());
  const size_t count = outline::common_count(objects.size(), longest, longest);
  for (Object& object : objects)
    if (!object.polygon.empty() && object.polygon.size() != count)
      object.polygon = outline::resampled(std::span<const PixelPoint>(object.polygon), count);
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
  Sample result{image::letterbox(*sample.image, geometry), sample.objects, {}, sample.task};
  const auto ratio = static_cast<float>(geometry.ratio);
  const auto left = static_cast<float>(geometry.left), top = static_cast<float>(geometry.top);
  for (Object& object : result.objects) scale_and_shift(object, ratio, ratio, left, top);
  for (const Box<ImagePixels>& box : sample.ignored)
    result.ignored.push_back(scaled_and_shifted(box, ratio, ratio, left, top));
  return result;
}

}  // namespace marrow::loader
