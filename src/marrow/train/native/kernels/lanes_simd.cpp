// Depthwise layers, where every lane is by itself: a vector of the map meets a vector of weights.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/lanes_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/highway.h"
#include "marrow/train/native/kernels/kernels.h"
#include "marrow/train/native/kernels/pixel_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillLanes(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

// kStep: floats between neighbouring outputs' sources; 0: those that args tell, a tenth slower.
template <int kPixels, int64_t kStep>
HWY_NOINLINE void lane_taps_tiles(const LaneTapsArgs& args, int64_t first, int64_t tiles) {
  const D d;
  const int64_t step = kStep > 0 ? kStep : args.src_step, dst_step = args.dst_step;
  const int taps = args.tap_count;
  for (int64_t i = 0, pixel = first; i < tiles; ++i, pixel += kPixels) {
    const float* src = args.src + pixel * step;
    V sums[kPixels];
#pragma GCC unroll 16
    for (V& sum : sums) sum = hn::Zero(d);
    for (int tap = 0; tap < taps; ++tap) {
      const float* x = src + args.taps[tap];
      const V weight = hn::LoadU(d, args.weights + tap * kLanes);
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p) sums[p] = hn::MulAdd(hn::LoadU(d, x + p * step), weight, sums[p]);
    }
    float* dst = args.dst + pixel * dst_step;
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p) hn::StoreU(sums[p], d, dst + p * dst_step);
  }
}

template <int64_t kStep>
HWY_INLINE void lane_taps_step(const LaneTapsArgs& args) {
  constexpr int kMostPixels = 12;
  each_pixel_run<kMostPixels>(args.pixels, [&](auto size, int64_t first, int64_t tiles) {
    lane_taps_tiles<decltype(size)::value, kStep>(args, first, tiles);
  });
}

void lane_taps(const LaneTapsArgs& args) {
  if (args.src_step == kLanes) return lane_taps_step<kLanes>(args);
  if (args.src_step == 2 * kLanes) return lane_taps_step<2 * kLanes>(args);
  lane_taps_step<0>(args);
}

// Pixels side by side have sums of their own, so that there are enough of them to hide how long each takes.
// Neighbours share sources, which want registers too.
constexpr int kMostSums = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 ? 12 : 14;
template <int kTaps, int64_t kStep>
HWY_NOINLINE void lane_outer_taps(const LaneOuterArgs& args, int first) {
  constexpr int kPixels = kTaps == 1 ? 8 : kMostSums / kTaps;
  const D d;
  const int64_t step = kStep > 0 ? kStep : args.x_step, pixels = args.pixels;
  V sums[kPixels][kTaps];
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i)
#pragma GCC unroll 8
    for (int tap = 0; tap < kTaps; ++tap) sums[i][tap] = hn::Zero(d);
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* dy = args.dy + row * args.dy_row;
    const float* x = args.x + row * args.x_row + first * kLanes;
    int64_t p = 0;
    for (; p + kPixels <= pixels; p += kPixels, dy += kPixels * kLanes, x += kPixels * step)
#pragma GCC unroll 8
      for (int i = 0; i < kPixels; ++i) {
        const V gradient = hn::LoadU(d, dy + i * kLanes);
#pragma GCC unroll 8
        for (int tap = 0; tap < kTaps; ++tap)
          sums[i][tap] = hn::MulAdd(gradient, hn::LoadU(d, x + i * step + tap * kLanes), sums[i][tap]);
      }
    for (; p < pixels; ++p, dy += kLanes, x += step) {
      const V gradient = hn::LoadU(d, dy);
#pragma GCC unroll 8
      for (int tap = 0; tap < kTaps; ++tap)
        sums[0][tap] = hn::MulAdd(gradient, hn::LoadU(d, x + tap * kLanes), sums[0][tap]);
    }
  }
#pragma GCC unroll 8
  for (int tap = 0; tap < kTaps; ++tap) {
    V sum = sums[0][tap];
#pragma GCC unroll 8
    for (int i = 1; i < kPixels; ++i) sum = hn::Add(sum, sums[i][tap]);
    float* acc = args.acc + (first + tap) * kLanes;
    hn::StoreU(hn::Add(hn::LoadU(d, acc), sum), d, acc);
  }
}

constexpr int kMostTaps = 7;

template <int64_t kStep>
HWY_INLINE void lane_outer_step(const LaneOuterArgs& args) {
  for (int first = 0; first < args.taps;) {
    const int taps = next_group(args.taps - first, kMostTaps);
    with_constant_size(taps, std::make_integer_sequence<int, kMostTaps>(),
                       [&](auto size) { lane_outer_taps<decltype(size)::value, kStep>(args, first); });
    first += taps;
  }
}

void lane_outer(const LaneOuterArgs& args) {
  if (args.x_step == kLanes) return lane_outer_step<kLanes>(args);
  if (args.x_step == 2 * kLanes) return lane_outer_step<2 * kLanes>(args);
  lane_outer_step<0>(args);
}

void FillLanes(Kernels& kernels) {
  kernels.lane_taps = lane_taps;
  kernels.lane_outer = lane_outer;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_lane_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillLanes)(kernels);
}

}  // namespace marrow::train::native
#endif
