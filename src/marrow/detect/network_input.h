// Pixels become the numbers of a network's input.
#pragma once

#include <array>

#include "marrow/detect/letterbox.h"
#include "marrow/image/image.h"

namespace marrow::detect {

// value = (pixel * scale - mean) / std, per channel in the network's order.
struct PixelFormat {
  bool rgb = true;  // false: blue first
  double scale = 1.0 / 255.0;
  std::array<double, 3> mean = {0, 0, 0};
  std::array<double, 3> std = {1, 1, 1};
};

// (height, width, 3) bytes in blue, green, red become (3, height, width) float32 at `chw`.
void fill_network_input(image::ConstPixels image, const PixelFormat& format, float* chw);

// The same of letterbox(image, geometry, fill), row by row, without making that picture. `geometry` as there.
void fill_letterboxed(const image::Image& image, const Letterbox& geometry, const PixelFormat& format,
                      float* chw, uint8_t fill = kLetterboxGrey);

}  // namespace marrow::detect
