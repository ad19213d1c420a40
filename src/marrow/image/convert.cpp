#include "marrow/image/convert.h"

#include <algorithm>
#include <cassert>

namespace marrow::image {
namespace {

// An image of `format` whose samples are value(source pixel, channel) of one as large.
template <class From, class To, class Value>
Image mapped(const Image& source, const SampleFormat& format, const Value& value) {
  Image result(source.width(), source.height(), 0, format);
  for (int y = 0; y < source.height(); ++y) {
    const From* in = source.samples<From>(y);
    To* out = result.samples<To>(y);
    for (int x = 0; x < source.width(); ++x, in += source.channels())
      for (int c = 0; c < format.channels; ++c) *out++ = static_cast<To>(value(in, c));
  }
  return result;
}

// The channel that is shown as blue, green or red (0, 1, 2).
int shown_channel(int channels, int c) {
  if (channels < 3) return 0;
  return channels == 3 ? c : 2 - c;
}

}  // namespace

Image to_grey(const Image& colour) {
  assert(colour.channels() == 3);
  constexpr uint32_t kBlue = 3735, kGreen = 19235, kRed = 9798, kShift = 15;
  return with_sample_type(colour.bits(), [&]<class T>(T) {
    return mapped<T, T>(colour, {1, colour.bits()}, [](const T* bgr, int) {
      return (bgr[0] * kBlue + bgr[1] * kGreen + bgr[2] * kRed + (1u << (kShift - 1))) >> kShift;
    });
  });
}

Image repeat_channel(const Image& grey, int channels) {
  assert(grey.channels() == 1);
  return with_sample_type(grey.bits(), [&]<class T>(T) {
    return mapped<T, T>(grey, {channels, grey.bits()}, [](const T* value, int) { return *value; });
  });
}

Image widen(const Image& image) {
  assert(image.bits() == 8);
  return mapped<uint8_t, uint16_t>(image, {image.channels(), 16},
                                   [](const uint8_t* pixel, int c) { return pixel[c] * 257; });
}

void stretch(Image& image, const SampleRange& range) {
  assert(image.bits() == 16 && range.low < range.high);
  if (range == SampleRange()) return;
  const auto low = static_cast<uint32_t>(range.low), span = static_cast<uint32_t>(range.high) - low;
  for (int y = 0; y < image.height(); ++y) {
    auto* row = image.samples<uint16_t>(y);
    for (size_t i = 0; i < image.row_bytes() / sizeof *row; ++i) {
      const uint32_t inside = std::clamp<uint32_t>(row[i], low, low + span) - low;
      row[i] = static_cast<uint16_t>((inside * uint32_t{kMaxSample16} + span / 2) / span);
    }
  }
}

Image displayed(Image image) {
  if (image.format() == SampleFormat()) return image;
  const int channels = image.channels();
  if (image.bits() == 8)
    return mapped<uint8_t, uint8_t>(
        image, {}, [&](const uint8_t* pixel, int c) { return pixel[shown_channel(channels, c)]; });
  return mapped<uint16_t, uint8_t>(image, {}, [&](const uint16_t* pixel, int c) {
    return narrow_sample(pixel[shown_channel(channels, c)]);
  });
}

Image stand_in(const Image& drawn, const SampleFormat& format) {
  assert(drawn.format() == SampleFormat());
  if (format == SampleFormat()) return drawn;
  Image image = format.channels == 1
                    ? to_grey(drawn)
                    : mapped<uint8_t, uint8_t>(drawn, {format.channels, 8},
                                               [](const uint8_t* bgr, int c) { return bgr[c % 3]; });
  return format.bits == 16 ? widen(image) : image;
}

}  // namespace marrow::image
