// Compiled without contractions (src/marrow/CMakeLists.txt): what PyTorch fuses is a MulAdd.
#include "marrow/cpu/dispatch.h"
#include "marrow/train/step/update_rules.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/step/update_rules_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

constexpr float kEps = 1e-8F;

HWY_INLINE V of(float number) {
  return hn::Set(D(), number);
}

// PyTorch's lerp: from the nearer end, and equal numbers stay equal to the bit.
class Average {
 public:
  explicit Average(float share)
      : is_far_(hn::Ge(of(share), of(0.5F))), share_(of(share < 0.5F ? share : share - 1)) {}
  HWY_INLINE V moved(V average, V weights) const {
    return hn::MulAdd(share_, hn::Sub(weights, average), hn::IfThenElse(is_far_, weights, average));
  }

 private:
  hn::Mask<D> is_far_;
  V share_;
};

// The rules see g, w, m and v and change the last three.
struct Sgd {
  static constexpr bool kHasSecond = false;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V&) {
    m = hn::Add(hn::Mul(m, of(n.first_keep)), g);
    w = hn::MulAdd(hn::MulAdd(m, of(n.first_keep), g), of(n.rate), w);
  }
};

HWY_INLINE V mean(const StepNumbers& n, V g, V m) {
  return hn::MulAdd(g, of(n.first_share), hn::Mul(m, of(n.first_keep)));
}

HWY_INLINE V mean_square(const StepNumbers& n, V g, V v) {
  return hn::MulAdd(hn::Mul(of(n.second_share), g), g, hn::Mul(v, of(n.second_keep)));
}

// y + factor a / b
HWY_INLINE V add_quotient(V y, float factor, V a, V b) {
  return hn::Add(y, hn::Div(hn::Mul(of(factor), a), b));
}

struct RmsProp {
  static constexpr bool kHasSecond = true;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V& v) {
    v = mean_square(n, g, v);
    m = hn::Add(hn::Mul(m, of(n.first_keep)), hn::Div(g, hn::Add(hn::Sqrt(v), of(kEps))));
    w = hn::MulAdd(m, of(n.rate), w);
  }
};

struct Adam {
  static constexpr bool kHasSecond = true;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V& v) {
    m = mean(n, g, m);
    v = mean_square(n, g, v);
    w = add_quotient(w, n.rate, m, hn::Add(hn::Div(hn::Sqrt(v), of(n.divisor)), of(kEps)));
  }
};

struct Adamax {
  static constexpr bool kHasSecond = true;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V& v) {
    m = mean(n, g, m);
    v = hn::Max(hn::Mul(v, of(n.second_keep)), hn::Add(hn::Abs(g), of(kEps)));
    w = add_quotient(w, n.rate, m, v);
  }
};

struct Nadam {
  static constexpr bool kHasSecond = true;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V& v) {
    m = mean(n, g, m);
    v = mean_square(n, g, v);
    const V scale = hn::Add(hn::Sqrt(hn::Div(v, of(n.divisor))), of(kEps));
    w = add_quotient(add_quotient(w, n.gradient_rate, g, scale), n.rate, m, scale);
  }
};

struct RadamEarly {
  static constexpr bool kHasSecond = true;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V& v) {
    m = mean(n, g, m);
    v = mean_square(n, g, v);
    w = hn::MulAdd(m, of(n.rate), w);
  }
};

struct Radam {
  static constexpr bool kHasSecond = true;
  static HWY_INLINE void step(const StepNumbers& n, V g, V& w, V& m, V& v) {
    m = mean(n, g, m);
    v = mean_square(n, g, v);
    w = add_quotient(w, n.rate, m, hn::Add(hn::Sqrt(v), of(kEps)));
  }
};

template <class Rule>
void update(const UpdatePart& part, const StepNumbers& numbers) {
  const D d;
  const UpdatePart p = part;  // copies, which no store changes
  const StepNumbers n = numbers;
  const Average mean_weights(n.average_share);
  for (int64_t i = 0; i < p.size; i += kLanes) {
    V w = hn::Load(d, p.weights + i);
    const V g = hn::MulAdd(w, of(n.decay), hn::Mul(hn::Load(d, p.gradient + i), of(n.gradient_scale)));
    w = hn::Mul(w, of(n.shrink));
    V m = hn::Load(d, p.first + i);
    V v = hn::Zero(d);
    if constexpr (Rule::kHasSecond) v = hn::Load(d, p.second + i);
    Rule::step(n, g, w, m, v);
    hn::Store(w, d, p.weights + i);
    hn::Store(m, d, p.first + i);
    if constexpr (Rule::kHasSecond) hn::Store(v, d, p.second + i);
    hn::Store(mean_weights.moved(hn::Load(d, p.average + i), w), d, p.average + i);
  }
}

void move_average(const float* weights, float* average, int64_t size, float share) {
  const D d;
  const Average mean_weights(share);
  for (int64_t i = 0; i < size; i += kLanes)
    hn::Store(mean_weights.moved(hn::Load(d, average + i), hn::Load(d, weights + i)), d, average + i);
}

void look_ahead(const float* gradient, float gradient_scale, float keep, float share, float* average,
                float* ahead, int64_t size) {
  const D d;
  for (int64_t i = 0; i < size; i += kLanes) {
    const V g = hn::Mul(hn::Load(d, gradient + i), of(gradient_scale));
    const V moved = hn::MulAdd(g, of(share), hn::Mul(hn::Load(d, average + i), of(keep)));
    hn::Store(moved, d, average + i);
    hn::Store(hn::MulAdd(g, of(share), hn::Mul(moved, of(keep))), d, ahead + i);
  }
}

void add_scaled(const float* x, float factor, float* y, int64_t size) {
  const D d;
  for (int64_t i = 0; i < size; i += kLanes)
    hn::Store(hn::MulAdd(hn::Load(d, x + i), of(factor), hn::Load(d, y + i)), d, y + i);
}

void scale(float* values, float factor, int64_t size) {
  const D d;
  for (int64_t i = 0; i < size; i += kLanes)
    hn::Store(hn::Mul(hn::Load(d, values + i), of(factor)), d, values + i);
}

// Sixteen sums whatever the vectors' length; a product of two floats is exact in double precision.
double sum_of_squares(const float* values, int64_t size) {
  constexpr int64_t kSums = 16;
  using Double = hn::CappedTag<double, 8>;
  using Half = hn::Rebind<float, Double>;
  constexpr auto kDoubles = static_cast<int64_t>(hn::MaxLanes(Double()));
  constexpr int64_t kVectors = kSums / kDoubles;
  hn::Vec<Double> sums[kVectors];
  for (auto& sum : sums) sum = hn::Zero(Double());
  for (int64_t i = 0; i < size; i += kSums)
#pragma GCC unroll 16
    for (int64_t s = 0; s < kVectors; ++s) {
      const hn::Vec<Double> x = hn::PromoteTo(Double(), hn::Load(Half(), values + i + s * kDoubles));
      sums[s] = hn::MulAdd(x, x, sums[s]);
    }
  HWY_ALIGN double each[kSums];
  for (int64_t s = 0; s < kVectors; ++s) hn::Store(sums[s], Double(), each + s * kDoubles);
  double sum = 0;
  for (const double one : each) sum += one;
  return sum;
}

UpdateRules make_update_rules() {
  return {update<Sgd>,   update<RmsProp>, update<Adam>, update<Adamax>, update<Nadam>, update<RadamEarly>,
          update<Radam>, move_average,    look_ahead,   add_scaled,     scale,         sum_of_squares};
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::train {

UpdateRules update_rules(cpu::SimdLevel level) {
  return MARROW_CHOOSE(level, &HWY_STATIC_DISPATCH(make_update_rules), make_update_rules)();
}

}  // namespace marrow::train

#endif  // HWY_ONCE
