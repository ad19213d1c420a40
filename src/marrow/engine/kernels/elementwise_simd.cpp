#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/elementwise_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/activations-inl.h"
#include "marrow/engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillElementwise(Kernels&) {}

#else

using namespace activation;

struct Scale {
  V operator()(V x, V factor) const { return hn::Mul(x, factor); }
};

// The first vectors of which op makes dst; the rest is less than one. Returns how many floats that were.
template <class Op>
HWY_INLINE int64_t whole_vectors(const Op& op, const float* src, float* dst, int64_t count, V parameter) {
  const int64_t end = count / kLanes * kLanes;
  activate(
      op, [&](int64_t i) { return hn::LoadU(D(), src + i); }, dst, end, parameter);
  return end;
}

template <class Op>
void unary(const float* src, float* dst, int64_t count, float parameter) {
  const D d;
  const Op op;
  const V p = hn::Set(d, parameter);
  const int64_t done = whole_vectors(op, src, dst, count, p);
  if (done == count) return;
  float tail[kLanes] = {};
  for (int64_t i = done; i < count; ++i) tail[i - done] = src[i];
  whole_vectors(op, tail, tail, kLanes, p);
  for (int64_t i = done; i < count; ++i) dst[i] = tail[i - done];
}

void add(const float* a, const float* b, float* dst, int64_t count) {
  const D d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, dst + i);
  for (; i < count; ++i) dst[i] = a[i] + b[i];
}

void multiply(const float* a, const float* b, float* dst, int64_t count) {
  const D d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, dst + i);
  for (; i < count; ++i) dst[i] = a[i] * b[i];
}

void scale_lanes(const float* src, const float* scale, const float* shift, float* dst, int64_t count) {
  const D d;
  const V factor = hn::LoadU(d, scale);
  const V offset = shift == nullptr ? hn::Zero(d) : hn::LoadU(d, shift);
  for (int64_t i = 0; i < count; i += kLanes)
    hn::StoreU(hn::MulAdd(hn::LoadU(d, src + i), factor, offset), d, dst + i);
}

void FillElementwise(Kernels& kernels) {
  kernels.lanes = static_cast<int>(kLanes);
  kernels.unary = {unary<Identity>,  unary<Relu>,        unary<Relu6>,   unary<LeakyRelu>, unary<Silu>,
                   unary<HardSwish>, unary<HardSigmoid>, unary<Sigmoid>, unary<Tanh>,      unary<Gelu>,
                   unary<Mish>,      unary<Elu>,         unary<Scale>};
  kernels.add = add;
  kernels.multiply = multiply;
  kernels.scale_lanes = scale_lanes;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_elementwise_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillElementwise)(kernels);
}

}  // namespace marrow::engine
#endif
