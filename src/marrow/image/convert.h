// Images of one sample format become images of another.
#pragma once

#include "marrow/image/image.h"

namespace marrow::image {

// One channel of three: 0.299 red + 0.587 green + 0.114 blue, in 15 fractional bits and rounded, as OpenCV
// has it.
Image to_grey(const Image& colour);

// `channels` copies of the only one.
Image repeat_channel(const Image& grey, int channels);

// 16 bits of 8: times 257.
Image widen(const Image& image);

// From the range to all of 0..65535, rounded; what is outside is cut off. 16 bits.
void stretch(Image& image, const SampleRange& range);

// The nearest 8-bit value of a 16-bit one.
constexpr uint8_t narrow_sample(uint16_t value) {
  return static_cast<uint8_t>((value + 128u) / 257u);
}

// What people see of it, blue, green and red of 8 bits: one channel or two as the grey of the first, of more
// than three the first three as red, green and blue.
Image displayed(Image image);

// A drawn image of three channels of 8 bits as `format` has it: its grey for one channel, its channels in
// turn for more. For what is shown to a network where there is no image of its own kind.
Image stand_in(const Image& drawn, const SampleFormat& format);

}  // namespace marrow::image
