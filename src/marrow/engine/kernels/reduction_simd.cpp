#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/reduction_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillReductions(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

void sum_lanes(const float* src, int64_t count, float* sums) {
  const D d;
  V even = hn::Zero(d);
  V odd = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    even = hn::Add(even, hn::LoadU(d, src + i));
    odd = hn::Add(odd, hn::LoadU(d, src + i + kLanes));
  }
  if (i < count) even = hn::Add(even, hn::LoadU(d, src + i));
  hn::StoreU(hn::Add(even, odd), d, sums);
}

float dot(const float* a, const float* b, int64_t count) {
  const D d;
  V sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k)
      sum[k] = hn::MulAdd(hn::LoadU(d, a + i + k * kLanes), hn::LoadU(d, b + i + k * kLanes), sum[k]);
  for (; i + kLanes <= count; i += kLanes)
    sum[0] = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum[0]);
  const V total = hn::SumOfLanes(d, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])));
  float result = hn::GetLane(total);
  for (; i < count; ++i) result += a[i] * b[i];
  return result;
}

void dfl(const DflArgs& args) {
  const D d;
  for (int64_t i = 0; i < args.count; i += kLanes) {
    const float* x = args.src + i;
    V largest = hn::LoadU(d, x);
    for (int b = 1; b < args.reg_max; ++b) largest = hn::Max(largest, hn::LoadU(d, x + b * args.src_bin));
    V total = hn::Zero(d);
    V weighted = hn::Zero(d);
    for (int b = 0; b < args.reg_max; ++b) {
      const V e = exp(d, hn::Sub(hn::LoadU(d, x + b * args.src_bin), largest));
      total = hn::Add(total, e);
      weighted = hn::MulAdd(e, hn::Set(d, args.bins[b]), weighted);
    }
    hn::StoreU(hn::Div(weighted, total), d, args.dst + i);
  }
}

void softmax(const SoftmaxArgs& args) {
  const D d;
  const V factor = hn::Set(d, args.factor);
  for (int64_t pixel = 0; pixel < args.pixels; ++pixel) {
    float* x = args.scores + pixel * kLanes;
    V largest = hn::LoadU(d, x);
    for (int64_t b = 1; b < args.blocks; ++b) largest = hn::Max(largest, hn::LoadU(d, x + b * args.block));
    largest = hn::MaxOfLanes(d, largest);
    V total = hn::Zero(d);
    for (int64_t b = 0; b < args.blocks; ++b) {
      const V e = exp(d, hn::Mul(factor, hn::Sub(hn::LoadU(d, x + b * args.block), largest)));
      total = hn::Add(total, e);
      hn::StoreU(e, d, x + b * args.block);
    }
    const V share = hn::Div(hn::Set(d, 1.0f), hn::SumOfLanes(d, total));
    for (int64_t b = 0; b < args.blocks; ++b)
      hn::StoreU(hn::Mul(hn::LoadU(d, x + b * args.block), share), d, x + b * args.block);
  }
}

void FillReductions(Kernels& kernels) {
  kernels.softmax = softmax;
  kernels.sum_lanes = sum_lanes;
  kernels.dot = dot;
  kernels.dfl = dfl;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_reduction_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillReductions)(kernels);
}

}  // namespace marrow::engine
#endif
