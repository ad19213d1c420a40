// An image in memory: 8 bits a channel, three channels, rows from the top, pixels in the order blue, green,
// red.
//
// A plain value: copies copy the pixels. Not synchronised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace marrow::image {

// Pixels that somebody else owns and keeps alive; rows lie row_bytes apart. `channels` bytes a pixel.
struct ConstPixels {
  const uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 3;
  size_t row_bytes = 0;

  const uint8_t* row(int y) const { return data + static_cast<size_t>(y) * row_bytes; }
};

struct MutablePixels {
  uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 3;
  size_t row_bytes = 0;

  uint8_t* row(int y) const { return data + static_cast<size_t>(y) * row_bytes; }
  operator ConstPixels() const { return {data, width, height, channels, row_bytes}; }
};

class Image {
 public:
  static constexpr int kChannels = 3;

  Image() = default;                               // 0 x 0
  Image(int width, int height, uint8_t fill = 0);  // width, height >= 0; every byte is `fill`

  int width() const { return width_; }
  int height() const { return height_; }
  bool empty() const { return bytes_.empty(); }
  size_t row_bytes() const { return static_cast<size_t>(width_) * kChannels; }
  size_t byte_size() const { return bytes_.size(); }

  uint8_t* row(int y) { return bytes_.data() + static_cast<size_t>(y) * row_bytes(); }
  const uint8_t* row(int y) const { return bytes_.data() + static_cast<size_t>(y) * row_bytes(); }

  MutablePixels pixels() { return {bytes_.data(), width_, height_, kChannels, row_bytes()}; }
  ConstPixels pixels() const { return {bytes_.data(), width_, height_, kChannels, row_bytes()}; }

  // The rectangle [x, x+width) x [y, y+height), which lies inside the image. A view: the image outlives it.
  MutablePixels region(int x, int y, int width, int height);
  ConstPixels region(int x, int y, int width, int height) const;

  bool operator==(const Image&) const = default;

 private:
  int width_ = 0;
  int height_ = 0;
  std::vector<uint8_t> bytes_;
};

// An image of its own with the pixels of `source`, which has three channels.
Image copy_image(ConstPixels source);

}  // namespace marrow::image
