// Only for AVX2 with fused multiply-add, which OpenCV's colour conversion was compiled for: lower levels
// would round differently.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)

#include "marrow/image/row_kernels.h"

#include <cstdlib>
#include <string_view>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/image/row_kernels.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "marrow/image/row_kernels-inl.h"

#if HWY_ONCE

namespace marrow::image {
namespace {

RowKernels choose() {
#if defined(__x86_64__)
  // What the compiler may use for Highway's AVX2.
  __builtin_cpu_init();
  const bool can = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                   __builtin_cpu_supports("f16c") && __builtin_cpu_supports("pclmul") &&
                   __builtin_cpu_supports("aes");
  const char* variable = std::getenv("MARROW_SIMD");
  const std::string_view level = variable == nullptr ? "" : variable;
  if (can && (level.empty() || level.starts_with("avx"))) return (HWY_CHOOSE_AVX2(make_row_kernels))();
#endif
  return {};
}

}  // namespace

const RowKernels& row_kernels() {
  static const RowKernels kernels = choose();
  return kernels;
}

}  // namespace marrow::image

#endif  // HWY_ONCE
