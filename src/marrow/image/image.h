// An image in memory: rows from the top, the samples of a pixel side by side. Three channels are blue, green,
// red; other numbers of channels keep the order of their file. Samples have 8 bits, or 16 bits in the byte
// order of the machine, which then use all of 0..65535 (SampleRange).
//
// A plain value: copies copy the pixels. Not synchronised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "marrow/geometry/sample_format.h"

namespace marrow::image {

// Pixels that somebody else owns and keeps alive; rows lie row_bytes apart. `channels` samples a pixel.
struct ConstPixels {
  const uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 3;
  size_t row_bytes = 0;
  int bits = 8;

  SampleFormat format() const { return {channels, bits}; }
  const uint8_t* row(int y) const { return data + static_cast<size_t>(y) * row_bytes; }
  // T: uint8_t or uint16_t, as the bits say.
  template <class T>
  const T* samples(int y) const {
    return reinterpret_cast<const T*>(row(y));
  }
};

struct MutablePixels {
  uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 3;
  size_t row_bytes = 0;
  int bits = 8;

  SampleFormat format() const { return {channels, bits}; }
  uint8_t* row(int y) const { return data + static_cast<size_t>(y) * row_bytes; }
  template <class T>
  T* samples(int y) const {
    return reinterpret_cast<T*>(row(y));
  }
  operator ConstPixels() const { return {data, width, height, channels, row_bytes, bits}; }
};

// Bytes on the heap that are written before they are read: memory as it was. Copies copy them.
class UnfilledBytes {
 public:
  UnfilledBytes() = default;
  explicit UnfilledBytes(size_t size);
  UnfilledBytes(const UnfilledBytes& other);
  UnfilledBytes(UnfilledBytes&& other) noexcept;
  UnfilledBytes& operator=(UnfilledBytes other) noexcept;
  ~UnfilledBytes() = default;

  size_t size() const { return size_; }
  uint8_t* data() { return data_.get(); }
  const uint8_t* data() const { return data_.get(); }
  bool operator==(const UnfilledBytes& other) const;

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t size_ = 0;
};

class Image {
 public:
  Image() = default;  // 0 x 0
  // width, height >= 0; every byte is `fill`, so that it is as bright at 16 bits.
  Image(int width, int height, uint8_t fill = 0, SampleFormat format = {});
  // For one who writes every byte: the memory as it was.
  static Image unfilled(int width, int height, SampleFormat format = {});

  int width() const { return width_; }
  int height() const { return height_; }
  const SampleFormat& format() const { return format_; }
  int channels() const { return format_.channels; }
  int bits() const { return format_.bits; }
  size_t pixel_bytes() const { return format_.pixel_bytes(); }
  bool empty() const { return bytes_.size() == 0; }
  size_t row_bytes() const { return static_cast<size_t>(width_) * pixel_bytes(); }
  size_t byte_size() const { return bytes_.size(); }

  uint8_t* row(int y) { return bytes_.data() + static_cast<size_t>(y) * row_bytes(); }
  const uint8_t* row(int y) const { return bytes_.data() + static_cast<size_t>(y) * row_bytes(); }
  uint8_t* pixel(int x, int y) { return row(y) + static_cast<size_t>(x) * pixel_bytes(); }
  const uint8_t* pixel(int x, int y) const { return row(y) + static_cast<size_t>(x) * pixel_bytes(); }
  // T: uint8_t or uint16_t, as the bits say.
  template <class T>
  T* samples(int y) {
    return reinterpret_cast<T*>(row(y));
  }
  template <class T>
  const T* samples(int y) const {
    return reinterpret_cast<const T*>(row(y));
  }

  MutablePixels pixels() { return {bytes_.data(), width_, height_, channels(), row_bytes(), bits()}; }
  ConstPixels pixels() const { return {bytes_.data(), width_, height_, channels(), row_bytes(), bits()}; }

  // The rectangle [x, x+width) x [y, y+height), which lies inside the image. A view: the image outlives it.
  MutablePixels region(int x, int y, int width, int height);
  ConstPixels region(int x, int y, int width, int height) const;

  bool operator==(const Image&) const = default;

 private:
  int width_ = 0;
  int height_ = 0;
  SampleFormat format_;
  UnfilledBytes bytes_;
};

// An image of its own with the pixels of `source`.
Image copy_image(ConstPixels source);

// function(T()) with the type of a sample: uint8_t or uint16_t.
template <class Function>
decltype(auto) with_sample_type(int bits, const Function& function) {
  if (bits == 16) return function(uint16_t());
  return function(uint8_t());
}

}  // namespace marrow::image
