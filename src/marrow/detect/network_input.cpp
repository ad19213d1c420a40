#include "detect/network_input.h"

#include <cassert>

namespace marrow {

void fill_network_input(ConstPixels image, const PixelFormat& format, float* chw) {
  assert(image.channels == Image::kChannels);
  size_t plane = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  for (size_t channel = 0; channel < 3; ++channel) {
    // A byte has 256 values: in double precision once each, so that every pixel is rounded once.
    std::array<float, 256> value_of;
    for (size_t pixel = 0; pixel < value_of.size(); ++pixel) {
      double scaled = static_cast<double>(pixel) * format.scale;
      value_of[pixel] = static_cast<float>((scaled - format.mean[channel]) / format.std[channel]);
    }
    float* out = chw + channel * plane;
    size_t stored = format.rgb ? 2 - channel : channel;
    for (int y = 0; y < image.height; ++y) {
      const uint8_t* in = image.row(y) + stored;
      for (int x = 0; x < image.width; ++x, in += 3) *out++ = value_of[*in];
    }
  }
}

}  // namespace marrow
