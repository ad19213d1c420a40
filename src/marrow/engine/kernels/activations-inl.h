// The activations as functors on vectors, and the loop that applies one. Included once a target: see
// Highway's guide on -inl.h files.
#if defined(MARROW_ENGINE_KERNELS_ACTIVATIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MARROW_ENGINE_KERNELS_ACTIVATIONS_INL_H_
#undef MARROW_ENGINE_KERNELS_ACTIVATIONS_INL_H_
#else
#define MARROW_ENGINE_KERNELS_ACTIVATIONS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "marrow/engine/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

namespace activation {
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
// In two parts (see activate()): first the power, then what is made of it.
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
// dst[i] = op(load(i)) for i = 0, kLanes... of `count` floats, whole vectors.
template <class Op, class Load>
HWY_INLINE void activate(const Op& op, const Load& load, float* dst, int64_t count, V parameter) {
  const D d;
  if constexpr (requires { op.first(parameter); }) {
    // A chain of twenty operations waits for itself most of the time, and a processor looks ahead at a few
    // vectors only. It looks further where the chain is cut in two, with a loop for each half.
    constexpr int64_t kRun = 32 * kLanes;
    HWY_ALIGN float halfway[kRun];
    for (int64_t from = 0; from < count; from += kRun) {
      const int64_t run = std::min(kRun, count - from);
      for (int64_t i = 0; i < run; i += kLanes) hn::Store(op.first(load(from + i)), d, halfway + i);
      for (int64_t i = 0; i < run; i += kLanes)
        hn::StoreU(op.second(load(from + i), hn::Load(d, halfway + i)), d, dst + from + i);
    }
  } else {
    for (int64_t i = 0; i < count; i += kLanes) hn::StoreU(op(load(i), parameter), d, dst + i);
  }
}

}  // namespace activation

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#endif
