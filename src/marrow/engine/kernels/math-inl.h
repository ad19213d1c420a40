// Vector forms of the transcendental functions, relative error below 1e-6 (most near 2e-7). Included once a
// target: see Highway's guide on -inl.h files.
#if defined(MARROW_ENGINE_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MARROW_ENGINE_KERNELS_MATH_INL_H_
#undef MARROW_ENGINE_KERNELS_MATH_INL_H_
#else
#define MARROW_ENGINE_KERNELS_MATH_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x = n ln 2 + r with |r| <= ln 2 / 2 and n whole; x is clamped to where 2^n and its reciprocal are normal
// numbers. A number plus 1.5 * 2^23 is rounded to a whole one, which its last bits then are: n in `exponent`,
// at the place of a float's exponent, without a conversion, which takes more instructions for the sake of
// numbers that are too large.
template <class D, class V, class I>
HWY_INLINE V whole_power(D d, V& x, I& exponent) {
  const hn::RebindToSigned<D> di;
  const V shift = hn::Set(d, 12582912.0f);
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 87.0f));
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shift);
  exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::Sub(shifted, shift);
}

// x - n ln 2. A product that is rounded wants ln 2 as a number of few bits and the rest; one number is off by
// n 1.9e-9.
template <class D, class V>
HWY_INLINE V without_power(D d, V x, V n) {
#if HWY_NATIVE_FMA
  return hn::NegMulAdd(n, hn::Set(d, 0.693147182f), x);
#else
  return hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x));
#endif
}

#if HWY_TARGET == HWY_AVX3

// 2^(j/32)
alignas(64) constexpr float kPowersOfTwo[32] = {
    1.0f,        1.02189715f, 1.04427378f, 1.0671404f,  1.09050773f, 1.11438674f, 1.13878863f, 1.16372486f,
    1.18920712f, 1.21524736f, 1.24185781f, 1.26905096f, 1.29683955f, 1.32523664f, 1.35425555f, 1.38390988f,
    1.41421356f, 1.44518081f, 1.47682615f, 1.50916443f, 1.54221083f, 1.57598085f, 1.61049033f, 1.64575548f,
    1.68179283f, 1.7186193f,  1.75625216f, 1.79470908f, 1.83400809f, 1.87416763f, 1.91520656f, 1.95714412f};

// x = n ln 2 + r with |r| <= ln 2 / 64, n in steps of 1/32. 2^n is looked up for n's fraction and scaled by
// 2^floor(n); e^r = 1 + r (c + r / 2), c by Chebyshev's approximation of r^3, right to 6e-8. A number plus
// 1.5 * 2^18 has 5 bits after the point, its last ones: they are the index.
template <class D, class V>
HWY_INLINE V exp(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V shift = hn::Set(d, 393216.0f);
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 87.0f));
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shift);
  const V n = hn::Sub(shifted, shift);
  const V r = hn::NegMulAdd(n, hn::Set(d, 0.693147182f), x);
  // Highway 1.0 has neither a look-up in two vectors, which reads the last 5 bits of an index, nor a scaling
  // by 2^floor(n).
  const V power{_mm512_permutex2var_ps(_mm512_load_ps(kPowersOfTwo), hn::BitCast(di, shifted).raw,
                                       _mm512_load_ps(kPowersOfTwo + 16))};
  const V p = hn::MulAdd(r, hn::Set(d, 0.5f), hn::Set(d, 1.0000147f));
  const V result = hn::MulAdd(hn::Mul(power, r), p, power);
  return V{_mm512_scalef_ps(result.raw, n.raw)};
}

#else

// e^r = 1 + r + r^2 p(r): p of degree 3 by Remez' algorithm for the relative error, 1.05e-7.
template <class D, class V>
HWY_INLINE V exp(D d, V x) {
  const hn::RebindToSigned<D> di;
  hn::Vec<decltype(di)> exponent;
  const V n = whole_power(d, x, exponent);
  const V r = without_power(d, x, n);
  V p = hn::MulAdd(r, hn::Set(d, 8.31250125e-3f), hn::Set(d, 4.18903315e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.66671154e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.99992303e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
}

#endif

// Accurate near 0 too, where exp(x) - 1 would cancel. Polynomial: Cephes (Moshier), expf.
template <class D, class V>
HWY_INLINE V expm1(D d, V x) {
  const hn::RebindToSigned<D> di;
  hn::Vec<decltype(di)> exponent;
  const V n = whole_power(d, x, exponent);
  const V r = without_power(d, x, n);
  const V scale = hn::BitCast(d, hn::Add(exponent, hn::BitCast(di, hn::Set(d, 1.0f))));
  V p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  const V less_one = hn::MulAdd(hn::Mul(r, r), p, r);
  return hn::MulAdd(scale, less_one, hn::Sub(scale, hn::Set(d, 1.0f)));
}

// 1 / x for x in [1, 1e38]: the processor's estimate and a Newton step where the estimate has 12 bits, a
// division where it has only 8 (NEON).
template <class D, class V>
HWY_INLINE V reciprocal(D d, V x) {
#if HWY_ARCH_X86
  const V estimate = hn::ApproximateReciprocal(x);
  return hn::MulAdd(estimate, hn::NegMulAdd(x, estimate, hn::Set(d, 1.0f)), estimate);
#else
  return hn::Div(hn::Set(d, 1.0f), x);
#endif
}

// power: exp(-x)
template <class D, class V>
HWY_INLINE V sigmoid_of_power(D d, V power) {
  return reciprocal(d, hn::Add(power, hn::Set(d, 1.0f)));
}

template <class D, class V>
HWY_INLINE V sigmoid(D d, V x) {
  return sigmoid_of_power(d, exp(d, hn::Neg(x)));
}

template <class D, class V>
HWY_INLINE V tanh(D d, V x) {
  const V e = expm1(d, hn::Add(x, x));
  return hn::Div(e, hn::Add(e, hn::Set(d, 2.0f)));
}

// x^2 / 2 as the exact square of x's leading 12 bits and a rest: its rounding would be a relative error of a
// power.
template <class D, class V>
HWY_INLINE V half_square(D d, V x, V& rest) {
  const hn::RebindToSigned<D> di;
  const V half = hn::Set(d, 0.5f);
  const V leading =
      hn::BitCast(d, hn::And(hn::BitCast(di, x), hn::Set(di, static_cast<int32_t>(0xfffff000))));
  rest = hn::Mul(half, hn::Mul(hn::Add(x, leading), hn::Sub(x, leading)));
  return hn::Mul(half, hn::Mul(leading, leading));
}

// The tail of the normal distribution beyond |x|: erfc(z) / 2 with z = |x| / sqrt 2.
//   erfc(z) = t exp(-z^2 + q(t)), t = 1 / (1 + z/2)
// Numerical Recipes, 2nd edition, section 6.2 (erfcc), fractional error below 1.2e-7. z^2 is half_square(x)
// and `rest`; power: exp(-half_square(x)).
template <class D, class V>
HWY_INLINE V normal_tail(D d, V x, V power, V rest) {
  const V one = hn::Set(d, 1.0f);
  const V half = hn::Set(d, 0.5f);
  const V t = hn::Div(one, hn::MulAdd(hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678f)), half, one));
  V q = hn::Set(d, 0.17087277f);
  q = hn::MulAdd(q, t, hn::Set(d, -0.82215223f));
  q = hn::MulAdd(q, t, hn::Set(d, 1.48851587f));
  q = hn::MulAdd(q, t, hn::Set(d, -1.13520398f));
  q = hn::MulAdd(q, t, hn::Set(d, 0.27886807f));
  q = hn::MulAdd(q, t, hn::Set(d, -0.18628806f));
  q = hn::MulAdd(q, t, hn::Set(d, 0.09678418f));
  q = hn::MulAdd(q, t, hn::Set(d, 0.37409196f));
  q = hn::MulAdd(q, t, hn::Set(d, 1.00002368f));
  q = hn::MulAdd(q, t, hn::Set(d, -1.26551223f));
  return hn::Mul(hn::Mul(half, t), hn::Mul(power, exp(d, hn::Sub(q, rest))));
}

template <class D, class V>
HWY_INLINE V normal_tail(D d, V x) {
  V rest;
  const V power = exp(d, hn::Neg(half_square(d, x, rest)));
  return normal_tail(d, x, power, rest);
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#endif
