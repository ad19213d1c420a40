#include "marrow/cpu/dispatch.h"
#include "marrow/loss/logit_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/loss/logit_loops_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::loss {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

LogitLoops<float> make_logit_loops() {
  return {plain_softplus<float>, plain_expected<float>};
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

// A sum of softplus is the sum of max(x, 0) and the logarithm of a product of 1 + e^-|x|, which is at most 2.
// The product less 1 is kept, as most logits are far below 0 and 1 would swallow them. As many factors as fit
// a number share one logarithm: kTerms of four vectors in float, 16 lanes of those in double at the most.
constexpr int64_t kVectors = 4;
constexpr int64_t kTerms = 31;
static_assert(kVectors * kTerms < 128);
constexpr int64_t kLanesOfALog = std::min<int64_t>(kLanes, 8);
static_assert(kLanesOfALog * kVectors * kTerms < 1024);

// (1 + p)(1 + q) - 1
template <class Number>
HWY_INLINE Number product_less_one(Number p, Number q) {
  return p + q * (1 + p);
}
HWY_INLINE V product_less_one(V p, V q) {
  return hn::Add(p, hn::MulAdd(p, q, q));
}

// The vectors of x from `from` to `to`, a multiple of kVectors vectors further.
template <bool kGradient>
HWY_INLINE double softplus_of_block(const float* x, int64_t count, V scale, float* gradient) {
  const D d;
  V positive[kVectors], product[kVectors];
  for (int64_t u = 0; u < kVectors; ++u) positive[u] = product[u] = hn::Zero(d);
  for (int64_t i = 0; i < count; i += kVectors * kLanes) {
    V e[kVectors];
    for (int64_t u = 0; u < kVectors; ++u) {
      const V v = hn::LoadU(d, x + i + u * kLanes);
      e[u] = hn::Exp(d, hn::Neg(hn::Abs(v)));
    }
    for (int64_t u = 0; u < kVectors; ++u) {
      const V v = hn::LoadU(d, x + i + u * kLanes);
      const auto negative = hn::Lt(v, hn::Zero(d));
      positive[u] = hn::Add(positive[u], hn::IfThenZeroElse(negative, v));
      product[u] = product_less_one(product[u], e[u]);
      if constexpr (kGradient) {
        const V near_one = hn::Div(hn::Set(d, 1.0f), hn::Add(e[u], hn::Set(d, 1.0f)));
        const V sigmoid = hn::IfThenElse(negative, hn::Mul(e[u], near_one), near_one);
        const V result = hn::IfThenElse(hn::IsNaN(v), v, hn::Mul(scale, sigmoid));
        hn::StoreU(result, d, gradient + i + u * kLanes);
      }
    }
  }
  HWY_ALIGN float lanes[kLanes];
  hn::Store(
      product_less_one(product_less_one(product[0], product[1]), product_less_one(product[2], product[3])), d,
      lanes);
  double sum = 0;
  for (int64_t lane = 0; lane < kLanes; lane += kLanesOfALog) {
    double all = 0;
    for (int64_t l = lane; l < lane + kLanesOfALog; ++l)
      all = product_less_one(all, static_cast<double>(lanes[l]));
    sum += std::log1p(all);
  }
  for (int64_t u = 0; u < kVectors; ++u) {
    hn::Store(positive[u], d, lanes);
    for (int64_t l = 0; l < kLanes; ++l) sum += static_cast<double>(lanes[l]);
  }
  return sum;
}

template <bool kGradient>
double softplus_with(const float* x, int64_t count, float scale, float* gradient) {
  constexpr int64_t kStep = kVectors * kLanes, kBlock = kTerms * kStep;
  const V factor = hn::Set(D(), scale);
  const int64_t whole = count / kStep * kStep;
  double sum = 0;
  for (int64_t i = 0; i < whole; i += kBlock)
    sum += softplus_of_block<kGradient>(x + i, std::min(kBlock, whole - i), factor, gradient + i);
  if (whole == count) return sum;
  float tail[kStep];
  std::fill_n(tail, kStep, -INFINITY);  // adds nothing
  std::copy(x + whole, x + count, tail);
  sum += softplus_of_block<kGradient>(tail, kStep, factor, tail);
  if constexpr (kGradient) std::copy_n(tail, count - whole, gradient + whole);
  return sum;
}

double softplus(const float* x, int64_t count, float scale, float* gradient) {
  if (gradient == nullptr) return softplus_with<false>(x, count, scale, nullptr);
  return softplus_with<true>(x, count, scale, gradient);
}

void expected(const float* x, int bins, int64_t count, float* expected) {
  const D d;
  for (int64_t i = 0; i < count; i += kLanes) {
    V largest = hn::LoadU(d, x + i);
    for (int b = 1; b < bins; ++b) largest = hn::Max(largest, hn::LoadU(d, x + b * count + i));
    V total = hn::Zero(d), weighted = hn::Zero(d), below = hn::Zero(d);
    for (int b = 0; b < bins; ++b) {
      const V v = hn::Sub(hn::LoadU(d, x + b * count + i), largest);
      const V e = hn::Exp(d, v);
      below = hn::Add(below, v);
      total = hn::Add(total, e);
      weighted = hn::MulAdd(e, hn::Set(d, static_cast<float>(b)), weighted);
    }
    // The maximum and the power lose a NaN; a sum does not.
    const V mean = hn::Div(weighted, total);
    hn::StoreU(hn::IfThenElse(hn::IsNaN(below), below, mean), d, expected + i);
  }
}

LogitLoops<float> make_logit_loops() {
  return {softplus, expected};
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::loss
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::loss {
namespace {

LogitLoops<float> make_plain_logit_loops() {
  return {plain_softplus<float>, plain_expected<float>};
}

}  // namespace

LogitLoops<float> float_logit_loops(cpu::SimdLevel level) {
  return MARROW_CHOOSE(level, make_plain_logit_loops, make_logit_loops)();
}

}  // namespace marrow::loss
#endif
