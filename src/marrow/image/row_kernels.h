// The inner loops of augmentation for a SIMD level: vector code where there is some, otherwise nothing, and
// then the plain loops beside the callers do it all. The results are the same to the bit.
#pragma once

#include <array>
#include <cstdint>

#include "marrow/cpu/simd_level.h"
#include "marrow/image/image.h"

namespace marrow::image {

// What becomes of each hue, saturation and value; 32-bit, as vector code gathers them.
struct HsvTables {
  std::array<int32_t, 256> h, s, v;
};

// A source position with 5 fractional bits.
struct WarpPosition {
  int32_t x, y;
};

// Each returns how many pixels it has done, from the first on; the caller does the rest. Null: none.
struct RowKernels {
  const char* name = "plain";
  // Blue, green, red in place; see hsv.h. Only whole blocks of 32 pixels.
  int (*adjust_hsv)(uint8_t* row, int width, const HsvTables& tables) = nullptr;
  // Three bytes a pixel, apart.
  int (*split)(const uint8_t* src, int width, uint8_t* first, uint8_t* middle, uint8_t* last) = nullptr;
  // A row of pixels of three bytes, back to front; here the count is that of the pixels done at each end.
  int (*mirror)(uint8_t* row, int width) = nullptr;
  // dst[i] = src at (start + steps[i]) >> 5, bilinear; all four taps of each pixel are inside. Stops where it
  // would read beyond the image's last byte, and before the last pixel.
  int (*warp)(ConstPixels src, WarpPosition start, const WarpPosition* steps, int count,
              uint8_t* dst) = nullptr;
};

// Those of a level: from avx2 on there are some. Throws as choose_simd_level() does.
RowKernels row_kernels(cpu::SimdLevel level = cpu::choose_simd_level());

}  // namespace marrow::image
