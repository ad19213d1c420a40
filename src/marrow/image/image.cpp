#include "marrow/image/image.h"

#include <cassert>
#include <cstring>

namespace marrow::image {

Image::Image(int width, int height, uint8_t fill) : width_(width), height_(height) {
  assert(width >= 0 && height >= 0);
  bytes_.assign(row_bytes() * static_cast<size_t>(height), fill);
}

MutablePixels Image::region(int x, int y, int width, int height) {
  assert(x >= 0 && y >= 0 && width >= 0 && height >= 0 && x + width <= width_ && y + height <= height_);
  return {row(y) + static_cast<size_t>(x) * kChannels, width, height, kChannels, row_bytes()};
}

ConstPixels Image::region(int x, int y, int width, int height) const {
  assert(x >= 0 && y >= 0 && width >= 0 && height >= 0 && x + width <= width_ && y + height <= height_);
  return {row(y) + static_cast<size_t>(x) * kChannels, width, height, kChannels, row_bytes()};
}

Image copy_image(ConstPixels source) {
  assert(source.channels == Image::kChannels);
  Image copy(source.width, source.height);
  for (int y = 0; y < source.height; ++y) std::memcpy(copy.row(y), source.row(y), copy.row_bytes());
  return copy;
}

}  // namespace marrow::image
