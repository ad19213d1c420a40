// The inner loop of resize_linear for a SIMD level: vector code where there is some; the same to the bit as
// the plain loop beside its caller.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::image {

// One pixel of a resized row: where the two source pixels begin that it lies between, in samples, and their
// weights, of 11 fractional bits.
struct LinearTap {
  int32_t near, far;
  int16_t near_weight, far_weight;
};

// Pixels of three bytes, of which `far` follows `near`: dst[3x + c] = (src[near + c] * near_weight + src[far
// + c] * far_weight) >> 4. Does the first `count` pixels; reads eight bytes from each `near` on, and writes
// one value beyond the last pixel.
using LinearRowKernel = void (*)(const uint8_t* src, const LinearTap* taps, int count, int16_t* dst);
// That of a level; nullptr below avx2, where there is none. Throws as choose_simd_level() does.
LinearRowKernel linear_row_kernel(cpu::SimdLevel level = cpu::choose_simd_level());

}  // namespace marrow::image
