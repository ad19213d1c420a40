// Winograd's transforms of weights and gradients; those of maps are the engine's.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/winograd_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/highway.h"
#include "marrow/engine/kernels/winograd_points.h"
#include "marrow/train/native/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillWinograd(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

HWY_INLINE V constant(double value) {
  return hn::Set(D(), static_cast<float>(value));
}

using Points = engine::winograd::Unit;
constexpr int kTile = engine::winograd::kTile, kProducts = Points::kProducts;

// One dimension of each transform. The points are pairs of one magnitude: what a pair has in common is
// computed once.

// A d
struct GradientForm : Points {
  static constexpr int kIn = kTile, kOut = kProducts;
  static HWY_INLINE void apply(const V (&d)[kIn], V (&t)[kOut]) {
    const V even_a = hn::MulAdd(constant(kA2), d[2], d[0]), even_b = hn::MulAdd(constant(kB2), d[2], d[0]);
    const V odd_a = hn::MulAdd(constant(kA * kA2), d[3], hn::Mul(constant(kA), d[1]));
    const V odd_b = hn::MulAdd(constant(kB * kB2), d[3], hn::Mul(constant(kB), d[1]));
    t[0] = d[0];
    t[1] = hn::Add(even_a, odd_a);
    t[2] = hn::Sub(even_a, odd_a);
    t[3] = hn::Add(even_b, odd_b);
    t[4] = hn::Sub(even_b, odd_b);
    t[5] = d[3];
  }
};

// G g
struct WeightForm : Points {
  static constexpr int kIn = 3, kOut = kProducts;
  static HWY_INLINE void apply(const V (&g)[kIn], V (&t)[kOut]) {
    const V even_a = hn::MulAdd(constant(kScaleA * kA2), g[2], hn::Mul(constant(kScaleA), g[0]));
    const V even_b = hn::MulAdd(constant(kScaleB * kB2), g[2], hn::Mul(constant(kScaleB), g[0]));
    const V odd_a = hn::Mul(constant(kScaleA * kA), g[1]), odd_b = hn::Mul(constant(kScaleB * kB), g[1]);
    t[0] = hn::Mul(constant(kWeight[0][0]), g[0]);
    t[1] = hn::Add(even_a, odd_a);
    t[2] = hn::Sub(even_a, odd_a);
    t[3] = hn::Add(even_b, odd_b);
    t[4] = hn::Sub(even_b, odd_b);
    t[5] = g[2];
  }
};

// G^T s
struct WeightGradientForm : Points {
  static constexpr int kIn = kProducts, kOut = 3;
  static HWY_INLINE void apply(const V (&s)[kIn], V (&g)[kOut]) {
    const V sum_a = hn::Add(s[1], s[2]), difference_a = hn::Sub(s[1], s[2]);
    const V sum_b = hn::Add(s[3], s[4]), difference_b = hn::Sub(s[3], s[4]);
    g[0] = hn::MulAdd(constant(kWeight[0][0]), s[0],
                      hn::MulAdd(constant(kScaleA), sum_a, hn::Mul(constant(kScaleB), sum_b)));
    g[1] = hn::MulAdd(constant(kScaleA * kA), difference_a, hn::Mul(constant(kScaleB * kB), difference_b));
    g[2] = hn::MulAdd(constant(kScaleA * kA2), sum_a, hn::MulAdd(constant(kScaleB * kB2), sum_b, s[5]));
  }
};

// Both dimensions: load(y, x) gives the vectors, store(y, x, vector) takes the results.
template <class Form, class Load, class Store>
HWY_INLINE void transform(const Load& load, const Store& store) {
  V columns[Form::kIn][Form::kOut];  // [x][transformed y]
#pragma GCC unroll 6
  for (int x = 0; x < Form::kIn; ++x) {
    V in[Form::kIn];
#pragma GCC unroll 6
    for (int y = 0; y < Form::kIn; ++y) in[y] = load(y, x);
    Form::apply(in, columns[x]);
  }
#pragma GCC unroll 6
  for (int y = 0; y < Form::kOut; ++y) {
    V in[Form::kIn], out[Form::kOut];
#pragma GCC unroll 6
    for (int x = 0; x < Form::kIn; ++x) in[x] = columns[x][y];
    Form::apply(in, out);
#pragma GCC unroll 6
    for (int x = 0; x < Form::kOut; ++x) store(y, x, out[x]);
  }
}

void winograd_gradient(const WinogradGradientArgs& args) {
  const D d;
  const int64_t step = args.dst_step, src_row = args.src_row;
  for (int tile = 0; tile < args.tiles; ++tile) {
    const float* src = args.src + int64_t{tile} * kTile * kLanes;
    float* dst = args.dst + tile * kLanes;
    const int columns = std::min(kTile, args.columns - tile * kTile);
    const auto store = [&](int y, int x, V value) { hn::StoreU(value, d, dst + (y * kProducts + x) * step); };
    if (args.rows == kTile && columns == kTile)
      transform<GradientForm>([&](int y, int x) { return hn::LoadU(d, src + y * src_row + x * kLanes); },
                              store);
    else
      transform<GradientForm>(
          [&](int y, int x) {
            return y < args.rows && x < columns ? hn::LoadU(d, src + y * src_row + x * kLanes) : hn::Zero(d);
          },
          store);
  }
}

void winograd_weights(const WinogradWeightsArgs& args) {
  const D d;
  for (int64_t i = 0; i < args.count; i += kLanes)
    transform<WeightForm>(
        [&](int y, int x) { return hn::LoadU(d, args.src + (3 * y + x) * args.src_step + i); },
        [&](int y, int x, V value) {
          hn::StoreU(value, d, args.dst + (kProducts * y + x) * args.dst_step + i);
        });
}

void winograd_weight_gradient(const WinogradWeightGradientArgs& args) {
  const D d;
  const auto one_vector = [&](const float* src, int64_t src_step, float* dst, int64_t dst_step) {
    transform<WeightGradientForm>(
        [&](int y, int x) { return hn::LoadU(d, src + (kProducts * y + x) * src_step); },
        [&](int y, int x, V value) { hn::StoreU(value, d, dst + (3 * y + x) * dst_step); });
  };
  int64_t i = 0;
  for (; i + kLanes <= args.count; i += kLanes)
    one_vector(args.src + i, args.src_step, args.dst + i, args.dst_step);
  const int64_t rest = args.count - i;
  if (rest == 0) return;
  HWY_ALIGN float sums[kProducts * kProducts][kLanes] = {};
  HWY_ALIGN float taps[9][kLanes];
  for (int k = 0; k < kProducts * kProducts; ++k)
    std::copy_n(args.src + k * args.src_step + i, rest, sums[k]);
  one_vector(sums[0], kLanes, taps[0], kLanes);
  for (int tap = 0; tap < 9; ++tap) std::copy_n(taps[tap], rest, args.dst + tap * args.dst_step + i);
}

void FillWinograd(Kernels& kernels) {
  kernels.winograd_gradient = winograd_gradient;
  kernels.winograd_weights = winograd_weights;
  kernels.winograd_weight_gradient = winograd_weight_gradient;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_winograd_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillWinograd)(kernels);
}

}  // namespace marrow::train::native
#endif
