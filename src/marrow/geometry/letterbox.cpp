#include "marrow/geometry/letterbox.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace marrow {
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

RatioPad assumed_ratio_pad(Size network, Size image, Rules rules) {
  const double ratio = std::min(static_cast<double>(network.height) / image.height,
                                static_cast<double>(network.width) / image.width);
  double width = image.width * ratio, height = image.height * ratio;
  RatioPad pad = {ratio, ratio};
  if (rules == Rules::k84) {
    width = std::max(round_even(width), 1);
    height = std::max(round_even(height), 1);
    pad = {width / image.width, height / image.height};
  }
  pad.left = std::nearbyint((network.width - width) / 2 - kNudge);
  pad.top = std::nearbyint((network.height - height) / 2 - kNudge);
  return pad;
}

Box<ImagePixels> to_image(const Box<InputPixels>& box, const RatioPad& ratio_pad, Size image) {
  const auto gain_x = static_cast<float>(ratio_pad.ratio_x), gain_y = static_cast<float>(ratio_pad.ratio_y);
  const auto left = static_cast<float>(ratio_pad.left), top = static_cast<float>(ratio_pad.top);
  const auto x = [&](float value) {
    return std::clamp((value - left) / gain_x, 0.0f, static_cast<float>(image.width));
  };
  const auto y = [&](float value) {
    return std::clamp((value - top) / gain_y, 0.0f, static_cast<float>(image.height));
  };
  return {x(box.x1), y(box.y1), x(box.x2), y(box.y2)};
}

}  // namespace marrow
