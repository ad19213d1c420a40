#include "marrow/image/network_input.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace marrow::image {
namespace {

// Where an image, which is stored blue first, holds a channel of the network.
size_t stored_channel(const InputFormat& format, size_t channel) {
  return format.order == ChannelOrder::kRgb ? 2 - channel : channel;
}

void fill_row(const uint8_t* row, int width, size_t stored, const std::array<float, 256>& values,
              float* out) {
  const uint8_t* in = row + stored;
  for (int x = 0; x < width; ++x, in += Image::kChannels) out[x] = values[*in];
}

}  // namespace

Image letterbox(const Image& image, const Letterbox& geometry, uint8_t fill) {
  Image out(geometry.out.width, geometry.out.height, fill);
  resize_linear(image.pixels(),
                out.region(geometry.left, geometry.top, geometry.resized.width, geometry.resized.height));
  return out;
}

void fill_network_input(ConstPixels image, const InputFormat& format, float* chw) {
  assert(image.channels == Image::kChannels);
  const ByteValues values = byte_values(format);
  for (size_t channel = 0; channel < values.size(); ++channel)
    for (int y = 0; y < image.height; ++y, chw += image.width)
      fill_row(image.row(y), image.width, stored_channel(format, channel), values[channel], chw);
}

void fill_letterboxed(const Image& image, const Letterbox& geometry, const InputFormat& format, float* chw,
                      uint8_t fill) {
  const ByteValues values = byte_values(format);
  const auto width = static_cast<size_t>(geometry.out.width),
             height = static_cast<size_t>(geometry.out.height);
  const auto top = static_cast<size_t>(geometry.top), left = static_cast<size_t>(geometry.left);
  const auto inner_width = static_cast<size_t>(geometry.resized.width);
  const auto inner_height = static_cast<size_t>(geometry.resized.height);
  for (size_t channel = 0; channel < values.size(); ++channel) {
    float* plane = chw + channel * width * height;
    const float ground = values[channel][fill];
    std::fill_n(plane, top * width, ground);
    for (size_t y = top; y < top + inner_height; ++y) {
      std::fill_n(plane + y * width, left, ground);
      std::fill(plane + y * width + left + inner_width, plane + (y + 1) * width, ground);
    }
    std::fill(plane + (top + inner_height) * width, plane + height * width, ground);
  }
  LinearRows rows(image.pixels(), geometry.resized.width, geometry.resized.height);
  std::vector<uint8_t> row(inner_width * Image::kChannels);
  for (size_t y = 0; y < inner_height; ++y) {
    rows.write(static_cast<int>(y), row.data());
    for (size_t channel = 0; channel < values.size(); ++channel)
      fill_row(row.data(), geometry.resized.width, stored_channel(format, channel), values[channel],
               chw + (channel * height + top + y) * width + left);
  }
}

ResizeFilter resize_filter(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBilinear:
      return ResizeFilter::kAntialiasedBilinear;
    case Interpolation::kBicubic:
      return ResizeFilter::kAntialiasedBicubic;
    case Interpolation::kOpenCvBilinear:
      return ResizeFilter::kLinear;
  }
  return ResizeFilter::kLinear;
}

}  // namespace marrow::image
