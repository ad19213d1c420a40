// The inner loop of resize_linear for this processor: vector code where there is some; the same to the bit as
// the plain loop beside its caller.
#pragma once

#include <cstdint>

namespace marrow::image {

// One pixel of a resized row: where the two source pixels begin that it lies between, in bytes, and their
// weights, of 11 fractional bits.
struct LinearTap {
  int32_t near, far;
  int16_t near_weight, far_weight;
};

// Pixels of three bytes, of which `far` follows `near`: dst[3x + c] = (src[near + c] * near_weight + src[far
// + c] * far_weight) >> 4. Does the first `count` pixels; reads eight bytes from each `near` on, and writes
// one value beyond the last pixel. Null where there is no vector code; MARROW_SIMD=plain, or a level below
// avx2, forces that.
using LinearRowKernel = void (*)(const uint8_t* src, const LinearTap* taps, int count, int16_t* dst);
LinearRowKernel linear_row_kernel();

}  // namespace marrow::image
