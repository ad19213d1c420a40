#include "marrow/image/image.h"

#include <cassert>
#include <cstring>

namespace marrow::image {

Image::Image(int width, int height, uint8_t fill, SampleFormat format)
    : width_(width), height_(height), format_(format) {
  assert(width >= 0 && height >= 0 && format.channels > 0 && (format.bits == 8 || format.bits == 16));
  bytes_.assign(row_bytes() * static_cast<size_t>(height), fill);
}

Image Image::unfilled(int width, int height, SampleFormat format) {
  Image image(0, 0, 0, format);
  image.width_ = width;
  image.height_ = height;
  image.bytes_.resize(image.row_bytes() * static_cast<size_t>(height));
  return image;
}

MutablePixels Image::region(int x, int y, int width, int height) {
  assert(x >= 0 && y >= 0 && width >= 0 && height >= 0 && x + width <= width_ && y + height <= height_);
  return {pixel(x, y), width, height, channels(), row_bytes(), bits()};
}

ConstPixels Image::region(int x, int y, int width, int height) const {
  assert(x >= 0 && y >= 0 && width >= 0 && height >= 0 && x + width <= width_ && y + height <= height_);
  return {pixel(x, y), width, height, channels(), row_bytes(), bits()};
}

Image copy_image(ConstPixels source) {
  Image copy = Image::unfilled(source.width, source.height, source.format());
  for (int y = 0; y < source.height; ++y) std::memcpy(copy.row(y), source.row(y), copy.row_bytes());
  return copy;
}

}  // namespace marrow::image
