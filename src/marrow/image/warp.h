// Geometric warps of images, bilinear in 5-bit fractions. 8 bits are equal to the bit to OpenCV 4.6's
// warpAffine and warpPerspective with INTER_LINEAR and a constant border; 16 bits are computed alike.
#pragma once

#include <array>
#include <cstdint>

#include "marrow/image/image.h"

namespace marrow::image {

using Matrix3 = std::array<double, 9>;  // row-major; maps input pixels to output pixels

// One format in both. Pixels that come from outside are `border` (at 16 bits, as bright). A matrix without an
// inverse gives some image, never an access outside. Only the upper two rows count in an affine warp.
void warp_affine(ConstPixels src, const Matrix3& matrix, MutablePixels dst, uint8_t border);
void warp_perspective(ConstPixels src, const Matrix3& matrix, MutablePixels dst, uint8_t border);

}  // namespace marrow::image
