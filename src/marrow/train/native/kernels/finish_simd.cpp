// What leaves a layer, with its statistics.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/native/kernels/finish_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "marrow/train/native/kernels/kernels.h"
#include "marrow/train/native/kernels/slopes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillFinish(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using slope::D;
using slope::V;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);
constexpr int64_t kRun = 32;  // pixels
constexpr int64_t kChains = 4;

// A sum in float that many pixels do not wear out: of runs of pixels, each by some chains of additions side
// by side.
struct Sum {
  V total, part[kChains];

  HWY_INLINE void clear() {
    total = hn::Zero(D());
#pragma GCC unroll 4
    for (V& each : part) each = hn::Zero(D());
  }
  HWY_INLINE void end_run() {
    total = hn::Add(total, hn::Add(hn::Add(part[0], part[1]), hn::Add(part[2], part[3])));
#pragma GCC unroll 4
    for (V& each : part) each = hn::Zero(D());
  }
};

// Calls visit(pixel, chain) for every pixel and end_run() after each kRun.
template <class Visit, class EndRun>
HWY_INLINE void each_run(int64_t pixels, const Visit& visit, const EndRun& end_run) {
  for (int64_t first = 0; first < pixels; first += kRun) {
    const int64_t end = std::min(first + kRun, pixels);
    int64_t p = first;
    for (; p + kChains <= end; p += kChains)
#pragma GCC unroll 4
      for (int64_t chain = 0; chain < kChains; ++chain) visit(p + chain, chain);
    for (; p < end; ++p) visit(p, 0);
    end_run();
  }
}

// Deviations are from the mean as far as a float can say it; what that leaves, `rest`, is taken out in
// double. The mean itself is that of differences from the first pixel, which lose nothing where all are
// alike.
void finish(const FinishArgs& args) {
  const D d;
  const float* src = args.src;
  const V first = hn::LoadU(d, src);
  Sum sum;
  sum.clear();
  each_run(
      args.pixels,
      [&](int64_t p, int64_t chain) {
        sum.part[chain] = hn::Add(sum.part[chain], hn::Sub(hn::LoadU(d, src + p * kLanes), first));
      },
      [&] { sum.end_run(); });
  const V mean = hn::MulAdd(sum.total, hn::Set(d, 1.0f / static_cast<float>(args.pixels)), first);

  Sum squares, rest;
  squares.clear();
  rest.clear();
  const auto add = [&](int64_t p, int64_t chain) {
    const V x = hn::LoadU(d, src + p * kLanes);
    const V deviation = hn::Sub(x, mean);
    squares.part[chain] = hn::MulAdd(deviation, deviation, squares.part[chain]);
    rest.part[chain] = hn::Add(rest.part[chain], deviation);
    return x;
  };
  const auto end_run = [&] {
    squares.end_run();
    rest.end_run();
  };
  float* dst = args.dst;
  if (args.streamed) {
    each_run(
        args.pixels, [&](int64_t p, int64_t chain) { hn::Stream(add(p, chain), d, dst + p * kLanes); },
        end_run);
    hwy::FlushStream();
  } else {
    each_run(
        args.pixels, [&](int64_t p, int64_t chain) { hn::StoreU(add(p, chain), d, dst + p * kLanes); },
        end_run);
  }

  HWY_ALIGN float means[kLanes], squared[kLanes], rests[kLanes];
  hn::Store(mean, d, means);
  hn::Store(squares.total, d, squared);
  hn::Store(rest.total, d, rests);
  const auto count = static_cast<double>(args.pixels);
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    const double left = rests[lane];
    args.mean[lane] = means[lane] + left / count;
    args.squares[lane] = std::max(squared[lane] - left * left / count, 0.0);  // NaN stays
  }
}

template <class Slope>
void finish_gradient(const FinishGradientArgs& args) {
  const D d;
  const Slope slope;
  const V scale = hn::LoadU(d, args.scale), shift = hn::LoadU(d, args.shift);
  const V centre = args.products != nullptr ? hn::LoadU(d, args.centre) : hn::Zero(d);
  const V parameter = hn::Set(d, args.parameter);
  const float *y = args.y, *dz = args.dz;
  float* dn = args.dn;
  const bool adds = args.adds, streamed = args.streamed;
  HWY_ALIGN float halfway[kRun * kLanes];
  Sum sums, products;
  sums.clear();
  products.clear();
  for (int64_t first = 0; first < args.pixels; first += kRun) {
    const int64_t pixels = std::min(kRun, args.pixels - first);
    const int64_t begin = first * kLanes;
    if constexpr (requires { slope.first(scale); })
      for (int64_t i = 0; i < pixels * kLanes; i += kLanes)
        hn::Store(slope.first(hn::MulAdd(hn::LoadU(d, y + begin + i), scale, shift)), d, halfway + i);
    each_run(
        pixels,
        [&](int64_t p, int64_t chain) {
          const int64_t i = begin + p * kLanes;
          const V stored = hn::LoadU(d, y + i), x = hn::MulAdd(stored, scale, shift);
          V gradient;
          if constexpr (requires { slope.first(scale); })
            gradient = slope.second(x, hn::Load(d, halfway + p * kLanes), hn::LoadU(d, dz + i), parameter);
          else
            gradient = slope(x, hn::LoadU(d, dz + i), parameter);
          sums.part[chain] = hn::Add(sums.part[chain], gradient);
          products.part[chain] = hn::MulAdd(gradient, hn::Sub(stored, centre), products.part[chain]);
          if (adds) gradient = hn::Add(gradient, hn::LoadU(d, dn + i));
          if (streamed)
            hn::Stream(gradient, d, dn + i);
          else
            hn::StoreU(gradient, d, dn + i);
        },
        [&] {
          sums.end_run();
          products.end_run();
        });
  }
  if (streamed) hwy::FlushStream();
  const auto add_to = [&](double* totals, V part) {
    if (totals == nullptr) return;
    HWY_ALIGN float lanes[kLanes];
    hn::Store(part, d, lanes);
    for (int64_t lane = 0; lane < kLanes; ++lane) totals[lane] += lanes[lane];
  };
  add_to(args.sums, sums.total);
  add_to(args.products, products.total);
}

void FillFinish(Kernels& kernels) {
  using namespace slope;
  kernels.finish_gradient = {
      finish_gradient<Identity>,    finish_gradient<Relu>,    finish_gradient<Relu6>,
      finish_gradient<LeakyRelu>,   finish_gradient<Silu>,    finish_gradient<HardSwish>,
      finish_gradient<HardSigmoid>, finish_gradient<Sigmoid>, finish_gradient<Tanh>,
      finish_gradient<Gelu>,        finish_gradient<Mish>,    finish_gradient<Elu>};
  kernels.finish = finish;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::train::native {

void add_finish_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillFinish)(kernels);
}

}  // namespace marrow::train::native
#endif
