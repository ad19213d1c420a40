#include "marrow/image/network_input.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "marrow/image/row_kernels.h"

namespace marrow::image {
namespace {

// Every `step`th sample from `in` on.
template <class Sample, class Value>
void fill_row(const Sample* in, int width, int step, const Value& value, float* out) {
  for (int x = 0; x < width; ++x, in += step) out[x] = value(*in);
}

// Where all bytes become themselves divided by one number, to the bit, that number; otherwise 0. Vectors
// divide many bytes in the time of one look-up.
float divisor_of(const std::array<float, 256>& table) {
  const float divisor = 255.0f / table[255];
  for (int byte = 0; byte < 256; ++byte)
    if (table[static_cast<size_t>(byte)] != static_cast<float>(byte) / divisor) return 0;
  return divisor;
}

// Rows of pixels become rows of the network's channels.
class RowFiller {
 public:
  RowFiller(const SampleFormat& format, const SampleValues& values, int width)
      : format_(format), values_(values), width_(width), kernels_(row_kernels()) {
    if (!format.is_colour() || format.bits != 8) return;
    for (std::vector<uint8_t>& plane : planes_) plane.resize(static_cast<size_t>(width));
    for (size_t channel = 0; channel < planes_.size(); ++channel)
      divisors_[channel] = divisor_of(values.of_bytes(static_cast<int>(channel)));
  }

  // `outs`: where each channel's row begins.
  void fill(const uint8_t* row, std::span<float* const> outs) {
    const bool is_split = !planes_[0].empty();
    if (is_split) split(row);
    for (size_t channel = 0; channel < outs.size(); ++channel) {
      const auto number = static_cast<int>(channel);
      if (is_split)
        fill_from_plane(planes_[static_cast<size_t>(values_.stored_channel(number))].data(), number,
                        outs[channel]);
      else
        fill_from_pixels(row, number, outs[channel]);
    }
  }

 private:
  void split(const uint8_t* row) {
    uint8_t *first = planes_[0].data(), *middle = planes_[1].data(), *last = planes_[2].data();
    const int done = kernels_.split == nullptr ? 0 : kernels_.split(row, width_, first, middle, last);
    for (int x = done; x < width_; ++x) {
      first[x] = row[3 * x];
      middle[x] = row[3 * x + 1];
      last[x] = row[3 * x + 2];
    }
  }

  void fill_from_plane(const uint8_t* plane, int channel, float* out) const {
    if (const float divisor = divisors_[static_cast<size_t>(channel)]; divisor != 0) {
      for (int x = 0; x < width_; ++x) out[x] = static_cast<float>(plane[x]) / divisor;
      return;
    }
    const std::array<float, 256>& table = values_.of_bytes(channel);
    fill_row(
        plane, width_, 1, [&](uint8_t byte) { return table[byte]; }, out);
  }

  void fill_from_pixels(const uint8_t* row, int channel, float* out) const {
    const int stored = values_.stored_channel(channel);
    if (format_.bits == 16) {
      const auto value = [&](uint16_t sample) { return values_.value(channel, sample); };
      fill_row(reinterpret_cast<const uint16_t*>(row) + stored, width_, format_.channels, value, out);
      return;
    }
    const std::array<float, 256>& table = values_.of_bytes(channel);
    fill_row(
        row + stored, width_, format_.channels, [&](uint8_t byte) { return table[byte]; }, out);
  }

  SampleFormat format_;
  const SampleValues& values_;
  int width_;
  RowKernels kernels_;
  std::array<std::vector<uint8_t>, 3> planes_;  // of a row of colours; else empty
  std::array<float, 3> divisors_ = {};
};

}  // namespace

Image letterbox(const Image& image, const Letterbox& geometry, uint8_t fill) {
  Image out(geometry.out.width, geometry.out.height, fill, image.format());
  resize_linear(image.pixels(),
                out.region(geometry.left, geometry.top, geometry.resized.width, geometry.resized.height));
  return out;
}

void fill_network_input(ConstPixels image, const InputFormat& format, float* chw) {
  const SampleValues values(format, image.format());
  RowFiller filler(image.format(), values, image.width);
  std::vector<float*> outs(static_cast<size_t>(image.channels));
  const size_t plane = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  for (int y = 0; y < image.height; ++y) {
    for (size_t channel = 0; channel < outs.size(); ++channel)
      outs[channel] = chw + channel * plane + static_cast<size_t>(y) * static_cast<size_t>(image.width);
    filler.fill(image.row(y), outs);
  }
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
  RowFiller filler(image.format(), values, geometry.resized.width);
  std::vector<float*> outs(static_cast<size_t>(image.channels()));
  for (size_t y = 0; y < inner_height; ++y) {
    rows.write(static_cast<int>(y), row.data());
    for (size_t channel = 0; channel < outs.size(); ++channel)
      outs[channel] = chw + (channel * height + top + y) * width + left;
    filler.fill(row.data(), outs);
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
