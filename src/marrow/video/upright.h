// How a picture must be turned to stand upright.
#pragma once

#include <cstdint>
#include <span>

#include "marrow/image/image.h"

namespace marrow::video {

// First rows and columns are swapped, then the picture is mirrored.
struct Orientation {
  bool swap = false;
  bool mirror_x = false, mirror_y = false;
  bool operator==(const Orientation&) const = default;
};

// Of a display matrix, nine numbers of 16.16 fixed point as containers have it; turns by other than quarters
// become the nearest.
Orientation orientation_of(std::span<const int32_t> matrix);

// Three channels of 8 bits.
image::Image turned_upright(image::ConstPixels pixels, Orientation orientation);

}  // namespace marrow::video
