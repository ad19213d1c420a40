#include "marrow/image/image.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace marrow::image {

UnfilledBytes::UnfilledBytes(size_t size)
    : data_(size > 0 ? std::make_unique_for_overwrite<uint8_t[]>(size) : nullptr), size_(size) {}

UnfilledBytes::UnfilledBytes(const UnfilledBytes& other) : UnfilledBytes(other.size_) {
  std::copy_n(other.data(), size_, data());
}

UnfilledBytes::UnfilledBytes(UnfilledBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

UnfilledBytes& UnfilledBytes::operator=(UnfilledBytes other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool UnfilledBytes::operator==(const UnfilledBytes& other) const {
  return std::equal(data(), data() + size_, other.data(), other.data() + other.size_);
}

Image::Image(int width, int height, uint8_t fill, SampleFormat format)
    : width_(width), height_(height), format_(format) {
  assert(width >= 0 && height >= 0 && format.channels > 0 && (format.bits == 8 || format.bits == 16));
  bytes_ = UnfilledBytes(row_bytes() * static_cast<size_t>(height));
  std::fill_n(bytes_.data(), bytes_.size(), fill);
}

Image Image::unfilled(int width, int height, SampleFormat format) {
  Image image(0, 0, 0, format);
  image.width_ = width;
  image.height_ = height;
  image.bytes_ = UnfilledBytes(image.row_bytes() * static_cast<size_t>(height));
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
