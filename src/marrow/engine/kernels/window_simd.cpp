// Rows of sliding windows within one channel block: depthwise convolution and max pooling.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/window_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>
#include <limits>

#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillWindows(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));

struct Convolve {
  const float* weights;
  const float* bias;
  V begin() const { return hn::LoadU(D(), bias); }
  V weight(int row, int tap, int taps) const { return hn::LoadU(D(), weights + (row * taps + tap) * kLanes); }
  V step(V sum, V x, V weight) const { return hn::MulAdd(x, weight, sum); }
};

struct Largest {
  V begin() const { return hn::Set(D(), -std::numeric_limits<float>::infinity()); }
  V weight(int, int, int) const { return hn::Zero(D()); }
  V step(V largest, V x, V) const { return hn::Max(largest, x); }
};

// kPixels neighbouring outputs, the first at x, whose taps [first, last) all lie inside the row.
template <int kPixels, int kStride, class Args, class Window>
HWY_INLINE void window_tile(const Args& args, int dilation, const Window& window, int x, int first,
                            int last) {
  const D d;
  const int stride = kStride == 0 ? args.stride : kStride;
  const int64_t start = int64_t{x} * stride - args.pad_before;
  V value[kPixels];
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) value[p] = window.begin();
  for (int row = 0; row < args.rows; ++row)
    for (int tap = first; tap < last; ++tap) {
      const float* src = args.src + row * args.src_row + (start + int64_t{tap} * dilation) * kLanes;
      const V weight = window.weight(row, tap, args.taps);
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p)
        value[p] = window.step(value[p], hn::LoadU(d, src + int64_t{p} * stride * kLanes), weight);
    }
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) hn::StoreU(value[p], d, args.dst + (int64_t{x} + p) * kLanes);
}

// Outputs [from, to), all of whose taps are inside. The last tile overlaps the one before rather than being
// cut.
template <int kPixels, int kStride, class Args, class Window>
HWY_INLINE void window_tiles(const Args& args, int dilation, const Window& window, int from, int to) {
  int x = from;
  for (; x + kPixels <= to; x += kPixels)
    window_tile<kPixels, kStride>(args, dilation, window, x, 0, args.taps);
  if (x < to) window_tile<kPixels, kStride>(args, dilation, window, to - kPixels, 0, args.taps);
}

template <int kStride, class Args, class Window>
void window_row(const Args& args, int dilation, const Window& window) {
  const int stride = args.stride;
  const int reach = (args.taps - 1) * dilation;
  const int inside_from = std::min((args.pad_before + stride - 1) / stride, args.out_width);
  const int room = args.width - 1 - reach + args.pad_before;
  const int inside_to = std::max(inside_from, room < 0 ? 0 : std::min(room / stride + 1, args.out_width));

  const auto edge = [&](int from, int to) {
    for (int x = from; x < to; ++x) {
      const int start = x * stride - args.pad_before;
      const int first = start < 0 ? (-start + dilation - 1) / dilation : 0;
      const int last = std::min(args.taps, start >= args.width ? 0 : (args.width - 1 - start) / dilation + 1);
      window_tile<1, kStride>(args, dilation, window, x, first, last);
    }
  };
  edge(0, inside_from);
  const int inside = inside_to - inside_from;
  if (inside >= 8)
    window_tiles<8, kStride>(args, dilation, window, inside_from, inside_to);
  else if (inside >= 3)
    window_tiles<3, kStride>(args, dilation, window, inside_from, inside_to);
  else
    edge(inside_from, inside_to);
  edge(inside_to, args.out_width);
}

template <class Args, class Window>
void any_stride(const Args& args, int dilation, const Window& window) {
  if (args.stride == 1)
    window_row<1>(args, dilation, window);
  else if (args.stride == 2)
    window_row<2>(args, dilation, window);
  else
    window_row<0>(args, dilation, window);
}

constexpr bool kFewRegisters = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4;

// The common depthwise windows: each input is loaded once for all the taps that read it, and tiles at the
// edges take zeros for what lies outside. Where registers do not hold the inputs beside enough sums (a sum
// waits for the one before it: 8 keep two units of a latency of 4 busy), each tap loads its inputs anew,
// which the multiply-adds do by themselves.
template <int kTaps, int kStride>
struct FixedWindow {
  template <int kPixels, bool kInside>
  static HWY_INLINE void tile(const DepthwiseRowArgs& args, int x) {
    constexpr int kSpan = (kPixels - 1) * kStride + kTaps;
    const D d;
    const int start = x * kStride - args.pad_before;
    V sum[kPixels];
#pragma GCC unroll 10
    for (int p = 0; p < kPixels; ++p) sum[p] = hn::LoadU(d, args.bias);
    for (int row = 0; row < args.rows; ++row) {
      const float* src = args.src + row * args.src_row + int64_t{start} * kLanes;
      const float* weights = args.weights + int64_t{row} * kTaps * kLanes;
      const auto add = [&](const auto& input) HWY_ATTR {
#pragma GCC unroll 8
        for (int tap = 0; tap < kTaps; ++tap) {
          const V weight = hn::LoadU(d, weights + tap * kLanes);
#pragma GCC unroll 10
          for (int p = 0; p < kPixels; ++p) sum[p] = hn::MulAdd(input(p * kStride + tap), weight, sum[p]);
        }
      };
      if constexpr (kInside && kFewRegisters) {
        add([&](int i) HWY_ATTR { return hn::LoadU(d, src + i * kLanes); });
      } else {
        V in[kSpan];
#pragma GCC unroll 24
        for (int i = 0; i < kSpan; ++i)
          in[i] = kInside || (start + i >= 0 && start + i < args.width) ? hn::LoadU(d, src + i * kLanes)
                                                                        : hn::Zero(d);
        add([&](int i) HWY_ATTR { return in[i]; });
      }
    }
#pragma GCC unroll 10
    for (int p = 0; p < kPixels; ++p) hn::StoreU(sum[p], d, args.dst + (int64_t{x} + p) * kLanes);
  }

  static bool inside(const DepthwiseRowArgs& args, int x, int pixels) {
    const int start = x * kStride - args.pad_before;
    return start >= 0 && start + (pixels - 1) * kStride + kTaps <= args.width;
  }

  // The last tile overlaps the one before rather than being cut.
  template <int kPixels, bool kAllInside = false>
  static void tiles(const DepthwiseRowArgs& args) {
    for (int x = 0;; x += kPixels) {
      x = std::min(x, args.out_width - kPixels);
      if (kAllInside || inside(args, x, kPixels))
        tile<kPixels, true>(args, x);
      else
        tile<kPixels, false>(args, x);
      if (x + kPixels >= args.out_width) return;
    }
  }

  static void row(const DepthwiseRowArgs& args) {
    if constexpr (kFewRegisters) {
      const int tile = padded_tile(args.out_width);
      if (tile != 0 && inside(args, 0, args.out_width)) {
        if (tile == kPaddedTiles[0]) return tiles<kPaddedTiles[0], true>(args);
        return tiles<kPaddedTiles[1], true>(args);
      }
    }
    // Elsewhere registers hold the inputs too.
    constexpr int kMost = kFewRegisters || kStride == 1 ? 8 : 6;
    if (args.out_width >= kMost)
      tiles<kMost>(args);
    else if (kFewRegisters && args.out_width >= 5)
      tiles<5>(args);
    else if (args.out_width >= 3)
      tiles<3>(args);
    else
      tiles<1>(args);
  }
};

template <int kTaps>
bool fixed_row(const DepthwiseRowArgs& args) {
  if (args.taps != kTaps || args.dilation != 1 || args.stride > 2) return false;
  if (args.stride == 1)
    FixedWindow<kTaps, 1>::row(args);
  else
    FixedWindow<kTaps, 2>::row(args);
  return true;
}

void depthwise_row(const DepthwiseRowArgs& args) {
  if (fixed_row<3>(args) || fixed_row<5>(args) || fixed_row<7>(args)) return;
  any_stride(args, args.dilation, Convolve{args.weights, args.bias});
}

void max_pool_row(const MaxPoolRowArgs& args) {
  any_stride(args, 1, Largest());
}

void FillWindows(Kernels& kernels) {
  kernels.depthwise_row = depthwise_row;
  kernels.has_padded_tiles = kFewRegisters;
  kernels.max_pool_row = max_pool_row;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_window_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillWindows)(kernels);
}

}  // namespace marrow::engine
#endif
