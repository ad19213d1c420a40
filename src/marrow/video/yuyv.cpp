#include "marrow/video/yuyv.h"

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/image/decode.h"

namespace marrow::video {
namespace {

// In 16 fractional bits.
constexpr int kBits = 16;
constexpr int scaled(double value) {
  return static_cast<int>(value * (1 << kBits) + 0.5);
}
constexpr int kLuma = scaled(255.0 / 219), kRed = scaled(1.402 * 255 / 224),
              kBlue = scaled(1.772 * 255 / 224);
constexpr int kGreenOfU = scaled(0.344136 * 255 / 224), kGreenOfV = scaled(0.714136 * 255 / 224);

uint8_t sample(int value) {
  return static_cast<uint8_t>(std::clamp((value + (1 << (kBits - 1))) >> kBits, 0, 255));
}

}  // namespace

image::Image bgr_of_yuyv(std::span<const std::byte> bytes, int width, int height, size_t row_bytes) {
  if (width < 2 || height < 1 || width % 2 != 0 || width > image::kMaxImageSide ||
      height > image::kMaxImageSide)
    fail_format("a picture of a webcam has no such size");
  const size_t needed = 2 * static_cast<size_t>(width);
  if (row_bytes == 0) row_bytes = needed;
  if (row_bytes < needed || bytes.size() / row_bytes < static_cast<size_t>(height))
    fail_format("a picture of a webcam was cut off");
  image::Image image(width, height);
  for (int y = 0; y < height; ++y) {
    const auto* in = reinterpret_cast<const uint8_t*>(bytes.data()) + static_cast<size_t>(y) * row_bytes;
    uint8_t* out = image.row(y);
    for (int x = 0; x < width; x += 2, in += 4) {
      const int u = in[1] - 128, v = in[3] - 128;
      for (const int luma : {in[0], in[2]}) {
        const int grey = kLuma * (luma - 16);
        *out++ = sample(grey + kBlue * u);
        *out++ = sample(grey - kGreenOfU * u - kGreenOfV * v);
        *out++ = sample(grey + kRed * v);
      }
    }
  }
  return image;
}

}  // namespace marrow::video
