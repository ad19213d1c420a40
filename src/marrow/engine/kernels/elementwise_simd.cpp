#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/elementwise_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillElementwise(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

struct Identity {
  V operator()(V x, V) const { return x; }
};
struct Relu {
  V operator()(V x, V) const { return hn::Max(x, hn::Zero(D())); }
};
struct Relu6 {
  V operator()(V x, V) const { return hn::Min(hn::Max(x, hn::Zero(D())), hn::Set(D(), 6.0f)); }
};
struct LeakyRelu {
  V operator()(V x, V slope) const { return hn::IfThenElse(hn::Ge(x, hn::Zero(D())), x, hn::Mul(x, slope)); }
};
// In two parts (see unary()): first the power, then what is made of it.
struct Silu {
  V first(V x) const { return exp(D(), hn::Neg(x)); }
  V second(V x, V power) const { return hn::Mul(x, sigmoid_of_power(D(), power)); }
};
// min(max(x / 6 + 0.5, 0), 1), summed first: x + 3 is exact where the sum nearly vanishes.
struct HardSigmoid {
  V operator()(V x, V) const {
    const V y = hn::Min(hn::Max(hn::Add(x, hn::Set(D(), 3.0f)), hn::Zero(D())), hn::Set(D(), 6.0f));
    return hn::Mul(y, hn::Set(D(), 1.0f / 6));
  }
};
struct HardSwish {
  V operator()(V x, V p) const { return hn::Mul(x, HardSigmoid()(x, p)); }
};
struct Sigmoid {
  V first(V x) const { return exp(D(), hn::Neg(x)); }
  V second(V, V power) const { return sigmoid_of_power(D(), power); }
};
struct Tanh {
  V operator()(V x, V) const { return tanh(D(), x); }
};
// x Phi(x); the side that would cancel is taken from the other tail.
struct Gelu {
  V operator()(V x, V) const {
    const V tail = normal_tail(D(), x);
    return hn::Mul(x, hn::IfThenElse(hn::Lt(x, hn::Zero(D())), tail, hn::Sub(hn::Set(D(), 1.0f), tail)));
  }
};
// tanh(ln(1 + e)) = e (e + 2) / (e (e + 2) + 2) with e = exp(x); 1 to the last bit from 20 on.
struct Mish {
  V operator()(V x, V) const {
    const V e = exp(D(), hn::Min(x, hn::Set(D(), 20.0f)));
    const V two = hn::Set(D(), 2.0f);
    const V n = hn::Mul(e, hn::Add(e, two));
    return hn::Mul(x, hn::Div(n, hn::Add(n, two)));
  }
};
struct Elu {
  V operator()(V x, V alpha) const {
    return hn::IfThenElse(hn::Gt(x, hn::Zero(D())), x, hn::Mul(alpha, expm1(D(), x)));
  }
};
struct Scale {
  V operator()(V x, V factor) const { return hn::Mul(x, factor); }
};

// The first vectors of which op makes dst; the rest is less than one. Returns how many floats that were.
template <class Op>
HWY_INLINE int64_t whole_vectors(const Op& op, const float* src, float* dst, int64_t count, V parameter) {
  const D d;
  const int64_t end = count / kLanes * kLanes;
  if constexpr (requires { op.first(parameter); }) {
    // A chain of twenty operations waits for itself most of the time, and a processor looks ahead at a few
    // vectors only. It looks further where the chain is cut in two, with a loop for each half.
    constexpr int64_t kRun = 32 * kLanes;
    HWY_ALIGN float halfway[kRun];
    for (int64_t from = 0; from < end; from += kRun) {
      const int64_t run = std::min(kRun, end - from);
      for (int64_t i = 0; i < run; i += kLanes)
        hn::Store(op.first(hn::LoadU(d, src + from + i)), d, halfway + i);
      for (int64_t i = 0; i < run; i += kLanes)
        hn::StoreU(op.second(hn::LoadU(d, src + from + i), hn::Load(d, halfway + i)), d, dst + from + i);
    }
  } else {
    for (int64_t i = 0; i < end; i += kLanes) hn::StoreU(op(hn::LoadU(d, src + i), parameter), d, dst + i);
  }
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
