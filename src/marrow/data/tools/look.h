// What an image looks like, small enough to compare all images with all.
#pragma once

#include <array>
#include <cstdint>

#include "marrow/image/image.h"

namespace marrow::data {

struct Look {
  // Where the image grows brighter, from left to right and from top to bottom, in a grid of 16 x 16.
  std::array<uint64_t, 8> edges = {};
  std::array<uint8_t, 3 * 16 * 16> colours = {};  // the grid itself: blue, green, red, row by row
  float variation = 0;                            // of the colours: their mean distance from their mean
};

// Of three channels of 8 bits.
Look look_of(const image::Image& image);

// Near-duplicates: the same image at another size or quality, cut a little, or the next frame of a film. Two
// images of one scene at another time, or of another section, are none.
bool look_alike(const Look& a, const Look& b);

// Of frames that follow each other in a film, by their names: the same scene with something moving in it.
bool look_related(const Look& a, const Look& b);

}  // namespace marrow::data
