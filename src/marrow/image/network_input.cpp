#include "marrow/image/network_input.h"

#include <algorithm>
#include <vector>

namespace marrow::image {
namespace {

// Every `step`th sample from `in` on.
template <class Sample, class Value>
void fill_row(const Sample* in, int width, int step, const Value& value, float* out) {
  for (int x = 0; x < width; ++x, in += step) out[x] = value(*in);
}

// A row of pixels becomes a row of one channel of the network.
void fill_row(const uint8_t* row, int width, const SampleFormat& format, const SampleValues& values,
              int channel, float* out) {
  const int stored = values.stored_channel(channel);
  if (format.bits == 16) {
    const auto value = [&](uint16_t sample) { return values.value(channel, sample); };
    fill_row(reinterpret_cast<const uint16_t*>(row) + stored, width, format.channels, value, out);
    return;
  }
  const std::array<float, 256>& table = values.of_bytes(channel);
  const auto value = [&](uint8_t byte) { return table[byte]; };
  if (format.is_colour())
    fill_row(row + stored, width, 3, value, out);  // a number that the compiler knows
  else
    fill_row(row + stored, width, format.channels, value, out);
}

}  // namespace

Image letterbox(const Image& image, const Letterbox& geometry, uint8_t fill) {
  Image out(geometry.out.width, geometry.out.height, fill, image.format());
  resize_linear(image.pixels(),
                out.region(geometry.left, geometry.top, geometry.resized.width, geometry.resized.height));
  return out;
}

void fill_network_input(ConstPixels image, const InputFormat& format, float* chw) {
  const SampleValues values(format, image.format());
  for (int channel = 0; channel < image.channels; ++channel)
    for (int y = 0; y < image.height; ++y, chw += image.width)
      fill_row(image.row(y), image.width, image.format(), values, channel, chw);
}

void fill_letterboxed(const Image& image, const Letterbox& geometry, const InputFormat& format, float* chw,
                      uint8_t fill) {
  const SampleValues values(format, image.format());
  const auto width = static_cast<size_t>(geometry.out.width),
             height = static_cast<size_t>(geometry.out.height);
  const auto top = static_cast<size_t>(geometry.top), left = static_cast<size_t>(geometry.left);
  const auto inner_width = static_cast<size_t>(geometry.resized.width);
  const auto inner_height = static_cast<size_t>(geometry.resized.height);
  for (int channel = 0; channel < image.channels(); ++channel) {
    float* plane = chw + static_cast<size_t>(channel) * width * height;
    const float ground = values.ground(channel, fill);
    std::fill_n(plane, top * width, ground);
    for (size_t y = top; y < top + inner_height; ++y) {
      std::fill_n(plane + y * width, left, ground);
      std::fill(plane + y * width + left + inner_width, plane + (y + 1) * width, ground);
    }
    std::fill(plane + (top + inner_height) * width, plane + height * width, ground);
  }
  LinearRows rows(image.pixels(), geometry.resized.width, geometry.resized.height);
  std::vector<uint8_t> row(inner_width * image.pixel_bytes());
  for (size_t y = 0; y < inner_height; ++y) {
    rows.write(static_cast<int>(y), row.data());
    for (int channel = 0; channel < image.channels(); ++channel)
      fill_row(row.data(), geometry.resized.width, image.format(), values, channel,
               chw + (static_cast<size_t>(channel) * height + top + y) * width + left);
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
