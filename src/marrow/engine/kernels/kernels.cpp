#include "engine/kernels/kernels.h"

#include "engine/kernels/targets.h"
#include "hwy/targets.h"

namespace marrow {

#if HWY_ARCH_X86
constexpr int64_t kTargetSse4 = HWY_SSE4;
constexpr int64_t kTargetAvx2 = HWY_AVX2;
constexpr int64_t kTargetAvx512 = HWY_AVX3;
constexpr int64_t kTargetNeon = 0;
#elif HWY_ARCH_ARM
constexpr int64_t kTargetSse4 = 0;
constexpr int64_t kTargetAvx2 = 0;
constexpr int64_t kTargetAvx512 = 0;
constexpr int64_t kTargetNeon = HWY_NEON;
#else
constexpr int64_t kTargetSse4 = 0;
constexpr int64_t kTargetAvx2 = 0;
constexpr int64_t kTargetAvx512 = 0;
constexpr int64_t kTargetNeon = 0;
#endif

int64_t highway_target(SimdLevel level) {
  switch (level) {
    case SimdLevel::kPlain:
      return 0;
    case SimdLevel::kSse4:
      return kTargetSse4;
    case SimdLevel::kNeon:
      return kTargetNeon;
    case SimdLevel::kAvx2:
      return kTargetAvx2;
    case SimdLevel::kAvx512:
      return kTargetAvx512;
  }
  return 0;
}

bool supports(SimdLevel level) {
  return level == SimdLevel::kPlain || (highway_target(level) & hwy::SupportedTargets()) != 0;
}

namespace {

Kernels make(SimdLevel level) {
  Kernels kernels;
  kernels.level = level;
  if (level == SimdLevel::kPlain) {
    add_plain_kernels(kernels);
    return kernels;
  }
  const int64_t target = highway_target(level);
  add_elementwise_kernels(kernels, target);
  add_conv_kernels(kernels, target);
  add_window_kernels(kernels, target);
  add_reduction_kernels(kernels, target);
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
