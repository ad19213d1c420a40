// Functions compiled once a SIMD level, and the choice among them. In a source:
//
//   #include "marrow/cpu/dispatch.h"
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "marrow/LAYER/this_file.cpp"
//   #include "hwy/foreach_target.h"
//   #include "hwy/highway.h"  // after foreach_target.h
//
//   HWY_BEFORE_NAMESPACE();
//   namespace marrow::LAYER {
//   namespace HWY_NAMESPACE {
//   void add(...) { ... }  // for every target: vectors, or loops that the compiler makes vectors of
//   }  // namespace HWY_NAMESPACE
//   }  // namespace marrow::LAYER
//   HWY_AFTER_NAMESPACE();
//
//   #if HWY_ONCE
//   namespace marrow::LAYER {
//   ... MARROW_CHOOSE(cpu::choose_simd_level(), add_plain, add)(...) ...
//   }  // namespace marrow::LAYER
//   #endif
//
// Highway's own dispatch is left out: it is global to the process, while an engine chooses for itself, and it
// needs Highway's library, which spends 5 ms measuring a clock whenever a program that links it starts.
#pragma once

#include <array>
#include <cstddef>

#include "marrow/cpu/simd_level.h"

// One target a level. The vectors of SVE have no size known to the compiler, so register tiles cannot be
// written for them; NEON is used there.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

// NEON is part of 64-bit Arm, and this leaves nothing to dispatch. Where Highway could, it compiles NEON with
// AES, which a Raspberry Pi 4 lacks, and as an attribute of functions, with which g++ 12 refuses to construct
// a struct of vectors.
#if defined(__aarch64__)
#define TOOLCHAIN_MISS_SYS_AUXV_H
#endif

namespace marrow::cpu {

// One function a level, nullptr where there is none.
template <class Function>
struct Versions {
  Function plain = nullptr, sse4 = nullptr, neon = nullptr, avx2 = nullptr, avx512 = nullptr;
};

// The function of `level`, or of the next level below that has one; nullptr where none has.
template <class Function>
Function choose(SimdLevel level, const Versions<Function>& versions) {
  const std::array<Function, 5> by_level = {versions.plain, versions.sse4, versions.neon, versions.avx2,
                                            versions.avx512};
  auto i = static_cast<size_t>(level);
  while (i > 0 && by_level[i] == nullptr) --i;
  return by_level[i];
}

}  // namespace marrow::cpu

// Of `function`, which was compiled for every target, the one for `level`; `plain` (nullptr: none) for
// kPlain. In the namespace that encloses HWY_NAMESPACE.
#define MARROW_CHOOSE(level, plain, function)                                                         \
  ::marrow::cpu::choose<decltype(&HWY_STATIC_DISPATCH(function))>(                                    \
      level, {plain, HWY_CHOOSE_SSE4(function), HWY_CHOOSE_NEON(function), HWY_CHOOSE_AVX2(function), \
              HWY_CHOOSE_AVX3(function)})
