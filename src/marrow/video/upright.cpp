#include "marrow/video/upright.h"

#include <cstdlib>
#include <cstring>

namespace marrow::video {
namespace {

constexpr size_t kChannels = 3;

}  // namespace

Orientation orientation_of(std::span<const int32_t> matrix) {
  if (matrix.size() < 5) return {};
  // x' = a x + c y, y' = b x + d y
  const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) >= std::abs(b)) return {false, a < 0, d < 0};
  return {true, c < 0, b < 0};
}

image::Image turned_upright(image::ConstPixels pixels, Orientation orientation) {
  if (orientation == Orientation()) return image::copy_image(pixels);
  const int width = orientation.swap ? pixels.height : pixels.width;
  const int height = orientation.swap ? pixels.width : pixels.height;
  image::Image image(width, height);
  for (int y = 0; y < height; ++y) {
    const int row = orientation.mirror_y ? height - 1 - y : y;
    uint8_t* out = image.row(y);
    for (int x = 0; x < width; ++x, out += kChannels) {
      const int column = orientation.mirror_x ? width - 1 - x : x;
      const uint8_t* in = orientation.swap ? pixels.row(column) + static_cast<size_t>(row) * kChannels
                                           : pixels.row(row) + static_cast<size_t>(column) * kChannels;
      std::memcpy(out, in, kChannels);
    }
  }
  return image;
}

}  // namespace marrow::video
