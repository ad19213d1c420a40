#include "engine/kernels/kernels.h"

namespace marrow {

// Everything that the compiler may use for a level's Highway target, and that the system saves those
// registers.
bool supports(SimdLevel level) {
  if (level == SimdLevel::kPlain) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool sse4 =
      __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (level == SimdLevel::kSse4) return sse4;
  if (level == SimdLevel::kAvx2) return avx2;
  if (level == SimdLevel::kAvx512) return avx512;
#elif defined(__aarch64__)
  if (level == SimdLevel::kNeon) return true;
#endif
  return false;
}

namespace {

Kernels make(SimdLevel level) {
  Kernels kernels;
  kernels.level = level;
  if (level == SimdLevel::kPlain) {
    add_plain_kernels(kernels);
    add_plain_narrow_kernels(kernels);
    return kernels;
  }
  add_elementwise_kernels(kernels);
  add_conv_kernels(kernels);
  add_pointwise_kernels(kernels);
  add_winograd_kernels(kernels);
  add_window_kernels(kernels);
  add_reduction_kernels(kernels);
  add_layout_kernels(kernels);
  add_plain_narrow_kernels(kernels);
  add_narrow_kernels(kernels);
  add_vnni_kernels(kernels);
  return kernels;
}

template <SimdLevel kLevel>
const Kernels& made_once() {
  static const Kernels kernels = make(kLevel);
  return kernels;
}

}  // namespace

const Kernels& kernels_of(SimdLevel level) {
  switch (level) {
    case SimdLevel::kPlain:
      return made_once<SimdLevel::kPlain>();
    case SimdLevel::kSse4:
      return made_once<SimdLevel::kSse4>();
    case SimdLevel::kNeon:
      return made_once<SimdLevel::kNeon>();
    case SimdLevel::kAvx2:
      return made_once<SimdLevel::kAvx2>();
    case SimdLevel::kAvx512:
      return made_once<SimdLevel::kAvx512>();
  }
  return made_once<SimdLevel::kPlain>();
}

}  // namespace marrow
