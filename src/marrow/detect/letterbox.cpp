#include "marrow/detect/letterbox.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "marrow/image/resize.h"

namespace marrow::detect {
namespace {

int round_even(double value) {
  return static_cast<int>(std::nearbyint(value));
}

// A tenth of a pixel decides which side gets the odd one: 0.5 becomes 0 before and 1 after.
constexpr double kNudge = 0.1;

}  // namespace

Letterbox letterbox_geometry(Size picture, Size target, const LetterboxOptions& options) {
  assert(picture.width > 0 && picture.height > 0 && target.width > 0 && target.height > 0 &&
         options.stride > 0);
  Letterbox box;
  box.ratio = std::min(static_cast<double>(target.height) / picture.height,
                       static_cast<double>(target.width) / picture.width);
  if (!options.scale_up) box.ratio = std::min(box.ratio, 1.0);
  box.resized = {round_even(picture.width * box.ratio), round_even(picture.height * box.ratio)};
  if (options.scale_fill) box.resized = target;
  if (options.keep_one_pixel) box.resized = {std::max(box.resized.width, 1), std::max(box.resized.height, 1)};

  double spare_width = target.width - box.resized.width;
  double spare_height = target.height - box.resized.height;
  if (options.minimum_rectangle && !options.scale_fill) {
    spare_width = (target.width - box.resized.width) % options.stride;
    spare_height = (target.height - box.resized.height) % options.stride;
  }
  if (options.center) {
    spare_width /= 2;
    spare_height /= 2;
    box.left = round_even(spare_width - kNudge);
    box.top = round_even(spare_height - kNudge);
  }
  box.right = round_even(spare_width + kNudge);
  box.bottom = round_even(spare_height + kNudge);
  box.out = {box.left + box.resized.width + box.right, box.top + box.resized.height + box.bottom};
  return box;
}

image::Image letterbox(const image::Image& image, const Letterbox& geometry, uint8_t fill) {
  image::Image out(geometry.out.width, geometry.out.height, fill);
  image::resize_linear(image.pixels(), out.region(geometry.left, geometry.top, geometry.resized.width,
                                                  geometry.resized.height));
  return out;
}

void scale_boxes(std::span<BoxXyxy> boxes, Size network, Size picture, const RatioPad* known) {
  RatioPad used;
  if (known != nullptr) {
    used = *known;
  } else {
    used.ratio = std::min(static_cast<double>(network.height) / picture.height,
                          static_cast<double>(network.width) / picture.width);
    used.left = std::nearbyint((network.width - picture.width * used.ratio) / 2 - kNudge);
    used.top = std::nearbyint((network.height - picture.height * used.ratio) / 2 - kNudge);
  }
  auto gain = static_cast<float>(used.ratio);
  const float pads[] = {static_cast<float>(used.left), static_cast<float>(used.top)};
  const float limits[] = {static_cast<float>(picture.width), static_cast<float>(picture.height)};
  for (BoxXyxy& box : boxes) {
    for (size_t i = 0; i < 4; ++i) box[i] = std::clamp((box[i] - pads[i % 2]) / gain, 0.0f, limits[i % 2]);
  }
}

}  // namespace marrow::detect
