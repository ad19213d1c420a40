// The largest of some taps, and the gradient that goes to it.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/pool_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/train/native/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillPool(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

HWY_INLINE auto wins(V x, V largest) {
  return hn::Or(hn::Gt(x, largest), hn::IsNaN(x));
}

void max_taps(const MaxTapsArgs& args) {
  const D d;
  for (int64_t p = 0; p < args.pixels; ++p) {
    const float* src = args.src + p * args.src_step;
    V largest = hn::LoadU(d, src + args.taps[0]);
    for (int tap = 1; tap < args.tap_count; ++tap) {
      const V x = hn::LoadU(d, src + args.taps[tap]);
      largest = hn::IfThenElse(wins(x, largest), x, largest);
    }
    hn::StoreU(largest, d, args.dst + p * kLanes);
  }
}

void max_taps_gradient(const MaxTapsGradientArgs& args) {
  const D d;
  for (int64_t p = 0; p < args.pixels; ++p) {
    const float* src = args.src + p * args.src_step;
    V largest = hn::LoadU(d, src + args.taps[0]), winner = hn::Zero(d);
    for (int tap = 1; tap < args.tap_count; ++tap) {
      const V x = hn::LoadU(d, src + args.taps[tap]);
      const auto better = wins(x, largest);
      largest = hn::IfThenElse(better, x, largest);
      winner = hn::IfThenElse(better, hn::Set(d, static_cast<float>(tap)), winner);
    }
    const V dy = hn::LoadU(d, args.dy + p * kLanes);
    float* dx = args.dx + p * args.src_step;
    for (int tap = 0; tap < args.tap_count; ++tap) {
      const V share = hn::IfThenElseZero(hn::Eq(winner, hn::Set(d, static_cast<float>(tap))), dy);
      float* place = dx + args.taps[tap];
      hn::StoreU(hn::Add(hn::LoadU(d, place), share), d, place);
    }
  }
}

void FillPool(Kernels& kernels) {
  kernels.max_taps = max_taps;
  kernels.max_taps_gradient = max_taps_gradient;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_pool_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillPool)(kernels);
}

}  // namespace marrow::train::native
#endif
