#include "marrow/detect/network_input.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "marrow/image/resize.h"

namespace marrow::detect {
namespace {

// A byte has 256 values: in double precision once each, so that every pixel is rounded once.
struct ChannelValues {
  size_t stored;  // the channel's place in a pixel
  std::array<float, 256> of;
};

std::array<ChannelValues, 3> channel_values(const PixelFormat& format) {
  std::array<ChannelValues, 3> values;
  for (size_t channel = 0; channel < 3; ++channel) {
    values[channel].stored = format.rgb ? 2 - channel : channel;
    for (size_t pixel = 0; pixel < 256; ++pixel) {
      const double scaled = static_cast<double>(pixel) * format.scale;
      values[channel].of[pixel] = static_cast<float>((scaled - format.mean[channel]) / format.std[channel]);
    }
  }
  return values;
}

void fill_row(const uint8_t* row, int width, const ChannelValues& channel, float* out) {
  const uint8_t* in = row + channel.stored;
  for (int x = 0; x < width; ++x, in += 3) out[x] = channel.of[*in];
}

}  // namespace

void fill_network_input(image::ConstPixels image, const PixelFormat& format, float* chw) {
  assert(image.channels == image::Image::kChannels);
  for (const ChannelValues& channel : channel_values(format))
    for (int y = 0; y < image.height; ++y, chw += image.width)
      fill_row(image.row(y), image.width, channel, chw);
}

void fill_letterboxed(const image::Image& image, const Letterbox& geometry, const PixelFormat& format,
                      float* chw, uint8_t fill) {
  const std::array<ChannelValues, 3> values = channel_values(format);
  const auto width = static_cast<size_t>(geometry.out.width),
             height = static_cast<size_t>(geometry.out.height);
  const auto top = static_cast<size_t>(geometry.top), left = static_cast<size_t>(geometry.left);
  const auto inner_width = static_cast<size_t>(geometry.resized.width);
  const auto inner_height = static_cast<size_t>(geometry.resized.height);
  for (size_t channel = 0; channel < 3; ++channel) {
    float* plane = chw + channel * width * height;
    const float ground = values[channel].of[fill];
    std::fill_n(plane, top * width, ground);
    for (size_t y = top; y < top + inner_height; ++y) {
      std::fill_n(plane + y * width, left, ground);
      std::fill(plane + y * width + left + inner_width, plane + (y + 1) * width, ground);
    }
    std::fill(plane + (top + inner_height) * width, plane + height * width, ground);
  }
  image::LinearRows rows(image.pixels(), geometry.resized.width, geometry.resized.height);
  std::vector<uint8_t> row(inner_width * image::Image::kChannels);
  for (size_t y = 0; y < inner_height; ++y) {
    rows.write(static_cast<int>(y), row.data());
    for (size_t channel = 0; channel < 3; ++channel)
      fill_row(row.data(), geometry.resized.width, values[channel],
               chw + (channel * height + top + y) * width + left);
  }
}

}  // namespace marrow::detect
