// The gradients of the activations as functors on vectors: dz act'(x) from x and dz. At a kink the slope is
// LibTorch's. Included once a target: see Highway's guide on -inl.h files.
#if defined(MARROW_TRAIN_NATIVE_KERNELS_SLOPES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MARROW_TRAIN_NATIVE_KERNELS_SLOPES_INL_H_
#undef MARROW_TRAIN_NATIVE_KERNELS_SLOPES_INL_H_
#else
#define MARROW_TRAIN_NATIVE_KERNELS_SLOPES_INL_H_
#endif

#include "hwy/highway.h"
#include "marrow/engine/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train::native {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

namespace slope {
namespace hn = hwy::HWY_NAMESPACE;
namespace math = engine::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

struct Identity {
  V operator()(V, V dz, V) const { return dz; }
};
struct Relu {
  V operator()(V x, V dz, V) const { return hn::IfThenElseZero(hn::Gt(x, hn::Zero(D())), dz); }
};
struct Relu6 {
  V operator()(V x, V dz, V) const {
    const D d;
    return hn::IfThenElseZero(hn::And(hn::Gt(x, hn::Zero(d)), hn::Lt(x, hn::Set(d, 6.0f))), dz);
  }
};
struct LeakyRelu {
  V operator()(V x, V dz, V slope) const {
    return hn::IfThenElse(hn::Gt(x, hn::Zero(D())), dz, hn::Mul(dz, slope));
  }
};
// Functions with a power are in two parts, as the activations are (engine/kernels/activations-inl.h). With
// s = sigmoid(x), 1 - s = exp(-x) s does not cancel.
struct Silu {
  V first(V x) const { return math::exp(D(), hn::Neg(x)); }
  V second(V x, V power, V dz, V) const {
    const D d;
    const V s = math::sigmoid_of_power(d, power);
    return hn::Mul(dz, hn::Mul(s, hn::MulAdd(x, hn::Mul(power, s), hn::Set(d, 1.0f))));
  }
};
struct HardSwish {
  V operator()(V x, V dz, V) const {
    const D d;
    const V three = hn::Set(d, 3.0f);
    const V inside = hn::Mul(dz, hn::MulAdd(x, hn::Set(d, 1.0f / 3), hn::Set(d, 0.5f)));
    return hn::IfThenElse(hn::Lt(x, hn::Neg(three)), hn::Zero(d),
                          hn::IfThenElse(hn::Lt(x, three), inside, dz));
  }
};
struct HardSigmoid {
  V operator()(V x, V dz, V) const {
    const D d;
    return hn::IfThenElseZero(hn::Lt(hn::Abs(x), hn::Set(d, 3.0f)), hn::Mul(dz, hn::Set(d, 1.0f / 6)));
  }
};
struct Sigmoid {
  V first(V x) const { return math::exp(D(), hn::Neg(x)); }
  V second(V, V power, V dz, V) const {
    const V s = math::sigmoid_of_power(D(), power);
    return hn::Mul(dz, hn::Mul(s, hn::Mul(power, s)));
  }
};
// 1 - tanh(x)^2 = 4 s (1 - s) with s = sigmoid(2 x)
struct Tanh {
  V first(V x) const { return math::exp(D(), hn::Mul(x, hn::Set(D(), -2.0f))); }
  V second(V, V power, V dz, V) const {
    const D d;
    const V s = math::sigmoid_of_power(d, power);
    return hn::Mul(dz, hn::Mul(hn::Mul(hn::Set(d, 4.0f), s), hn::Mul(power, s)));
  }
};
// Phi(x) + x phi(x)
struct Gelu {
  V operator()(V x, V dz, V) const {
    const D d;
    V rest;
    const V power = math::exp(d, hn::Neg(math::half_square(d, x, rest)));
    const V tail = math::normal_tail(d, x, power, rest);
    const V below = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(hn::Set(d, 1.0f), tail));
    const V density = hn::Mul(hn::Mul(power, hn::Set(d, 0.39894228f)), math::exp(d, hn::Neg(rest)));
    return hn::Mul(dz, hn::MulAdd(x, density, below));
  }
};
// With e = exp(x), n = e (e + 2) and t = tanh(ln(1 + e)) = n / (n + 2):
//   t + x (1 - t^2) sigmoid(x) = (n + 4 x e (e + 1) / (n + 2)) / (n + 2)
// 1 to the last bit from 20 on.
struct Mish {
  V first(V x) const { return math::exp(D(), hn::Min(x, hn::Set(D(), 20.0f))); }
  V second(V x, V e, V dz, V) const {
    const D d;
    const V two = hn::Set(d, 2.0f);
    const V n = hn::Mul(e, hn::Add(e, two));
    const V below = hn::Div(hn::Set(d, 1.0f), hn::Add(n, two));
    const V bend = hn::Mul(hn::Mul(hn::Set(d, 4.0f), x), hn::Mul(e, hn::MulAdd(e, below, below)));
    return hn::Mul(dz, hn::Mul(hn::Add(n, bend), below));
  }
};
struct Elu {
  V first(V x) const { return math::exp(D(), x); }
  V second(V x, V power, V dz, V alpha) const {
    return hn::IfThenElse(hn::Gt(x, hn::Zero(D())), dz, hn::Mul(dz, hn::Mul(alpha, power)));
  }
};

}  // namespace slope

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train::native
HWY_AFTER_NAMESPACE();

#endif
