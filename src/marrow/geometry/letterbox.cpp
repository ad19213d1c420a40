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

Point<ImagePixels> to_image(const Point<InputPixels>& point, const RatioPad& ratio_pad, Size image) {
  const auto clamped = [](float value, double pad, double ratio, int side) {
    return std::clamp((value - static_cast<float>(pad)) / static_cast<float>(ratio), 0.0f,
                      static_cast<float>(side));
  };
  return {clamped(point.x, ratio_pad.left, ratio_pad.ratio_x, image.width),
          clamped(point.y, ratio_pad.top, ratio_pad.ratio_y, image.height)};
}

Box<ImagePixels> to_image(const Box<InputPixels>& box, const RatioPad& ratio_pad, Size image) {
  const Point<ImagePixels> low = to_image(Point<InputPixels>{box.x1, box.y1}, ratio_pad, image);
  const Point<ImagePixels> high = to_image(Point<InputPixels>{box.x2, box.y2}, ratio_pad, image);
  return {low.x, low.y, high.x, high.y};
}

RotatedBox<ImagePixels> to_image(const RotatedBox<InputPixels>& box, const RatioPad& ratio_pad) {
  const auto x = static_cast<float>(ratio_pad.ratio_x), y = static_cast<float>(ratio_pad.ratio_y);
  return {(box.cx - static_cast<float>(ratio_pad.left)) / x, (box.cy - static_cast<float>(ratio_pad.top)) / y,
          box.width / x, box.height / y, box.angle};
}

}  // namespace marrow
