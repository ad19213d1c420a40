// Random changes of hue, saturation and value, with OpenCV 4.6's 8-bit colour conversions.
#pragma once

#include <array>
#include <cstdint>

#include "marrow/base/random.h"
#include "marrow/image/image.h"

namespace marrow::image {

// Rows of `width` pixels of three bytes: blue, green, red against hue (0..179), saturation, value. Equal to
// the bit to OpenCV's, whose vector code cuts off where its scalar code rounds: full blocks of 32 pixels of a
// row are cut off, the rest is rounded. dst may be src.
void bgr_to_hsv(const uint8_t* src, int width, uint8_t* dst);
void hsv_to_bgr(const uint8_t* src, int width, uint8_t* dst);

// Largest relative change of each channel.
struct HsvRange {
  double h = 0.015, s = 0.7, v = 0.4;
};

// Relative changes: 0 leaves the channel as it is.
struct HsvDraws {
  double h = 0, s = 0, v = 0;
};
HsvDraws draw_hsv(const HsvRange& range, Random& random);

struct HsvTables;

// One row, by the plain loops.
void adjust_hsv_row(uint8_t* row, int width, const HsvTables& tables);

// Hue turns by h * 180, saturation and value are multiplied by 1 + s and 1 + v. Grey stays grey. Images of
// another format than three channels of 8 bits stay as they are.
void adjust_hsv(Image& image, const HsvDraws& draws);

}  // namespace marrow::image
