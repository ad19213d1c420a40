// Numbers that bfloat16 holds, and whether this processor multiplies them.
#pragma once

#include <bit>
#include <cstdint>

#include "marrow/train/native/kernels/kernels.h"

namespace marrow::testing {

inline bool has_bfloat16() {
  return train::native::has_pair_products(cpu::choose_simd_level());
}
constexpr const char* kNoBfloat16 = "this processor, or the level of MARROW_SIMD, has no AVX-512 BF16";

// To nearest, of two that are as near to the even one. Finite numbers.
inline float rounded_to_bfloat16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

}  // namespace marrow::testing
