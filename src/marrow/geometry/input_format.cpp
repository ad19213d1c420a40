#include "marrow/geometry/input_format.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace marrow {

SampleValues::SampleValues(const InputFormat& format, const SampleFormat& samples)
    : reversed_(samples.is_colour() && format.order == ChannelOrder::kRgb), scale_(format.scale) {
  for (size_t channel = 0; channel < static_cast<size_t>(samples.channels); ++channel) {
    const Affine affine = samples.is_colour() ? Affine{format.mean[channel], format.std[channel]} : Affine();
    if (samples.bits == 16) {
      wide_.push_back(affine);
      continue;
    }
    std::array<float, 256>& values = bytes_.emplace_back();
    for (size_t byte = 0; byte < values.size(); ++byte)
      values[byte] =
          static_cast<float>((static_cast<double>(byte) * format.scale - affine.mean) / affine.std);
  }
}

namespace {
constexpr double kMaxSample8 = 255;
}

void reset_range(InputFormat& format) {
  if (format.range) format.scale = format.scale * kMaxSample16 / kMaxSample8;
  format.range.reset();
}

void set_range(InputFormat& format, const SampleRange& range) {
  if (!format.range) format.scale = format.scale * kMaxSample8 / kMaxSample16;
  format.range = range;
}

ImageReading image_reading(const InputFormat& format, int channels) {
  return {{channels, format.range ? 16 : 8}, format.range.value_or(SampleRange())};
}

InputFormat classifier_format(InputFormat format, int crop) {
  if (format.crop == 0) format.crop = kDefaultCrop;
  if (format.resize == 0) format.resize = format.crop;
  if (crop > 0 && crop != format.crop) {
    const double proportion = static_cast<double>(format.resize) / format.crop;
    format.resize = static_cast<int>(std::max(std::lround(crop * proportion), 1L));
    format.crop = crop;
  }
  return format;
}

}  // namespace marrow
