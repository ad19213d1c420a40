// Include before hwy/foreach_target.h: which of Highway's targets our kernels are compiled for, and how a
// table is filled for a level that the caller names.
//
// Highway's own dispatch is left out: it is global to the process, while an engine chooses for itself, and it
// needs Highway's library, which spends 5 ms measuring a clock whenever a program that links it starts.
#pragma once

// One target a level. The vectors of SVE have no size known to the compiler, so register tiles cannot be
// written for them; NEON is used there.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

// NEON is part of 64-bit Arm, and this leaves nothing to dispatch. Where Highway could, it compiles NEON with
// AES, which a Raspberry Pi 4 lacks, and as an attribute of functions, with which g++ 12 refuses to construct
// a struct of vectors.
#if defined(__aarch64__)
#define TOOLCHAIN_MISS_SYS_AUXV_H
#endif

#include "marrow/engine/kernels/kernels.h"

namespace marrow::engine {

using FillKernels = void (*)(Kernels&);

inline void fill_for_level(Kernels& kernels, FillKernels sse4, FillKernels neon, FillKernels avx2,
                           FillKernels avx512) {
  FillKernels fill = nullptr;
  if (kernels.level == cpu::SimdLevel::kSse4) fill = sse4;
  if (kernels.level == cpu::SimdLevel::kNeon) fill = neon;
  if (kernels.level == cpu::SimdLevel::kAvx2) fill = avx2;
  if (kernels.level == cpu::SimdLevel::kAvx512) fill = avx512;
  if (fill != nullptr) fill(kernels);
}

}  // namespace marrow::engine

// Calls the function that was compiled for the level of `kernels`. Where HWY_ONCE, in the namespace that
// encloses HWY_NAMESPACE.
#define MARROW_FILL_KERNELS(kernels, function)                                                             \
  fill_for_level(kernels, HWY_CHOOSE_SSE4(function), HWY_CHOOSE_NEON(function), HWY_CHOOSE_AVX2(function), \
                 HWY_CHOOSE_AVX3(function))
