// An image becomes the input of a network: fitted into its size, and its bytes into its numbers.
#pragma once

#include <cstdint>

#include "marrow/geometry/input_format.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/image/image.h"
#include "marrow/image/resize.h"

namespace marrow::image {

// The resized image (bilinear, only where the size changes) on a ground of `fill`. `geometry` is of this
// image's size and its `resized` is not empty.
Image letterbox(const Image& image, const Letterbox& geometry, uint8_t fill = kLetterboxGrey);

// (height, width, channels) samples become (channels, height, width) float32 at `chw`.
void fill_network_input(ConstPixels image, const InputFormat& format, float* chw);

// The same of letterbox(image, geometry, fill), row by row, without making that image. `geometry` as there.
void fill_letterboxed(const Image& image, const Letterbox& geometry, const InputFormat& format, float* chw,
                      uint8_t fill = kLetterboxGrey);

ResizeFilter resize_filter(Interpolation interpolation);

}  // namespace marrow::image
