// Conversions between float32 and low precision, equal to the plain ones bit by bit.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/low_precision_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillLowPrecision(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using Integers = hn::RebindToSigned<D>;
using Bytes = hn::Rebind<uint8_t, D>;
using Halves = hn::Rebind<uint16_t, D>;
constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);

// Four vectors at a time where `convert` has a shorter way for them. What is left after the last whole vector
// goes through one vector of its own.
template <class Src, class Dst, class Convert>
HWY_INLINE void for_vectors(const Src* src, Dst* dst, int64_t count, const Convert& convert) {
  int64_t i = 0;
  if constexpr (requires { convert.four(src, dst); })
    for (; i + 4 * kLanes <= count; i += 4 * kLanes) convert.four(src + i, dst + i);
  for (; i + kLanes <= count; i += kLanes) convert(src + i, dst + i);
  if (i == count) return;
  Src from[kLanes] = {};
  Dst to[kLanes];
  for (int64_t k = i; k < count; ++k) from[k - i] = src[k];
  convert(from, to);
  for (int64_t k = i; k < count; ++k) dst[k] = to[k - i];
}

struct ToBytes {
  float inverse, lowest, highest;
  int zero_point;
  HWY_INLINE void operator()(const float* src, uint8_t* dst) const { store(hn::LoadU(D(), src), dst); }
  // NaN becomes 0, as it is not above anything.
  HWY_INLINE void store(hn::Vec<D> numbers, uint8_t* dst) const {
    const D d;
    const Integers di;
    const auto x = hn::Mul(numbers, hn::Set(d, inverse));
#if HWY_TARGET == HWY_AVX3
    // What is too small, and NaN, is converted to the smallest integer, and the rest saturates: Highway's
    // conversions, which saturate by themselves, take twice as many instructions.
    const __m512i whole = _mm512_maskz_cvtps_epi32(0xffff, _mm512_min_ps(hn::Set(d, highest).raw, x.raw));
    const auto q = hn::Max(hn::Add(hn::Vec<Integers>{whole}, hn::Set(di, zero_point)), hn::Zero(di));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm512_maskz_cvtusepi32_epi8(0xffff, q.raw));
#else
    const auto low = hn::Set(d, lowest);
    const auto clamped = hn::IfThenElse(hn::Gt(x, low), hn::Min(x, hn::Set(d, highest)), low);
    const auto q = hn::Add(hn::NearestInt(clamped), hn::Set(di, zero_point));
    hn::StoreU(hn::DemoteTo(Bytes(), q), Bytes(), dst);
#endif
  }
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
  HWY_INLINE void four(const float* src, uint8_t* dst) const {
    const D d;
    store_four(hn::LoadU(d, src), hn::LoadU(d, src + kLanes), hn::LoadU(d, src + 2 * kLanes),
               hn::LoadU(d, src + 3 * kLanes), dst);
  }
  // The conversions to 16 and to 8 bits saturate. What is too small for int32, and NaN, is converted to the
  // smallest integer.
  HWY_INLINE void store_four(hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c, hn::Vec<D> e, uint8_t* dst) const {
    const hn::ScalableTag<int16_t> words;
    const hn::ScalableTag<uint8_t> bytes;
    const auto zero = hn::Set(words, static_cast<int16_t>(zero_point));
    const auto ab = hn::SaturatedAdd(hn::ReorderDemote2To(words, whole(a), whole(b)), zero);
    const auto ce = hn::SaturatedAdd(hn::ReorderDemote2To(words, whole(c), whole(e)), zero);
#if HWY_TARGET == HWY_AVX2
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const hn::Vec<decltype(bytes)> q{_mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab.raw, ce.raw), order)};
#else
    const hn::Vec<decltype(bytes)> q{_mm_packus_epi16(ab.raw, ce.raw)};
#endif
    hn::StoreU(q, bytes, dst);
  }

 private:
  HWY_INLINE hn::Vec<Integers> whole(hn::Vec<D> numbers) const {
    const D d;
    const auto x = hn::Min(hn::Set(d, highest), hn::Mul(numbers, hn::Set(d, inverse)));
#if HWY_TARGET == HWY_AVX2
    return hn::Vec<Integers>{_mm256_cvtps_epi32(x.raw)};
#else
    return hn::Vec<Integers>{_mm_cvtps_epi32(x.raw)};
#endif
  }
#endif
};

ToBytes to_bytes(ByteScale scale) {
  const auto lowest = static_cast<float>(-scale.zero_point);
  return {1 / scale.scale, lowest, lowest + 255, scale.zero_point};
}

void float32_to_bytes(const float* src, ByteScale scale, void* dst, int64_t count) {
  for_vectors(src, static_cast<uint8_t*>(dst), count, to_bytes(scale));
}

// x / (1 + e^-x), right to 3e-4: what is rounded afterwards keeps no more. e^-x = 2^t = 2^n 2^r, the latter
// by a polynomial of third degree of least relative error, 7.5e-5 (Remez' algorithm).
HWY_INLINE hn::Vec<D> quick_silu(hn::Vec<D> x) {
  const D d;
#if HWY_TARGET == HWY_AVX3  // reduce and scale take any t; Highway has neither
  const auto t = hn::Mul(x, hn::Set(d, -1.44269504f));
  constexpr int kLessFloor = 1;
  const hn::Vec<D> r{_mm512_maskz_reduce_ps(0xffff, t.raw, kLessFloor)};
  auto p = hn::MulAdd(hn::Set(d, 7.80245227e-2f), r, hn::Set(d, 2.26067155e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 6.95833540e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 9.99925219e-1f));
  const hn::Vec<D> e{_mm512_scalef_ps(p.raw, t.raw)};
#else
  const Integers di;
  // Far below 0 the product vanishes anyhow; NaN stays.
  x = hn::Max(hn::Set(d, -80.0f), x);
  const auto near = hn::Min(hn::Set(d, 80.0f), x);
  const auto factor = hn::Set(d, -1.44269504f);
  // Numbers of this size are whole, so adding it rounds t to n, which their last bits then hold.
  const auto whole = hn::Set(d, 12582912.0f);
  const auto sum = hn::MulAdd(near, factor, whole);
  const auto r = hn::MulSub(near, factor, hn::Sub(sum, whole));
  auto p = hn::MulAdd(hn::Set(d, 5.51716691e-02f), r, hn::Set(d, 2.42611122e-01f));
  p = hn::MulAdd(p, r, hn::Set(d, 6.93260985e-01f));
  p = hn::MulAdd(p, r, hn::Set(d, 9.99928074e-01f));
  const auto e = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, sum))));
#endif
  const auto denominator = hn::Add(e, hn::Set(d, 1.0f));
#if HWY_ARCH_X86
  return hn::Mul(x, hn::ApproximateReciprocal(denominator));  // 12 bits or more
#else
  return hn::Div(x, denominator);
#endif
}

template <class Number, class Rounding>
struct SiluThen {
  Rounding rounding;
  HWY_INLINE void operator()(const float* src, Number* dst) const {
    rounding.store(quick_silu(hn::LoadU(D(), src)), dst);
  }
  HWY_INLINE void four(const float* src, Number* dst) const requires requires(hn::Vec<D> x) {
    rounding.store_four(x, x, x, x, dst);
  }
  {
    const D d;
    rounding.store_four(quick_silu(hn::LoadU(d, src)), quick_silu(hn::LoadU(d, src + kLanes)),
                        quick_silu(hn::LoadU(d, src + 2 * kLanes)),
                        quick_silu(hn::LoadU(d, src + 3 * kLanes)), dst);
  }
};

struct FromBytes {
  ByteScale scale;
  HWY_INLINE void operator()(const uint8_t* src, float* dst) const {
    const D d;
    const Integers di;
    const auto q = hn::Sub(hn::PromoteTo(di, hn::LoadU(Bytes(), src)), hn::Set(di, scale.zero_point));
    hn::StoreU(hn::Mul(hn::ConvertTo(d, q), hn::Set(d, scale.scale)), d, dst);
  }
};

void silu_to_bytes(const float* src, ByteScale scale, void* dst, int64_t count) {
  for_vectors(src, static_cast<uint8_t*>(dst), count, SiluThen<uint8_t, ToBytes>{to_bytes(scale)});
}

void bytes_to_float32(const void* src, ByteScale scale, float* dst, int64_t count) {
  for_vectors(static_cast<const uint8_t*>(src), dst, count, FromBytes{scale});
}

struct ToBfloat16 {
  HWY_INLINE void operator()(const float* src, uint16_t* dst) const { store(hn::LoadU(D(), src), dst); }
  HWY_INLINE void store(hn::Vec<D> x, uint16_t* dst) const {
    const hn::RebindToUnsigned<D> du;
    const auto bits = hn::BitCast(du, x);
    const auto kept = hn::ShiftRight<16>(bits);
    // Half of the last place kept, less one where that place is even.
    const auto half = hn::Add(hn::Set(du, 0x7fff), hn::And(kept, hn::Set(du, 1)));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, half));
    const auto nan = hn::Or(kept, hn::Set(du, 0x40));
    const auto result = hn::IfThenElse(hn::RebindMask(du, hn::Eq(x, x)), rounded, nan);
    hn::StoreU(hn::DemoteTo(Halves(), hn::BitCast(Integers(), result)), Halves(), dst);
  }
};

void float32_to_bfloat16(const float* src, ByteScale, void* dst, int64_t count) {
  for_vectors(src, static_cast<uint16_t*>(dst), count, ToBfloat16());
}

void silu_to_bfloat16(const float* src, ByteScale, void* dst, int64_t count) {
  for_vectors(src, static_cast<uint16_t*>(dst), count, SiluThen<uint16_t, ToBfloat16>{});
}

struct FromBfloat16 {
  HWY_INLINE void operator()(const uint16_t* src, float* dst) const {
    const Integers di;
    const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(di, hn::LoadU(Halves(), src)));
    hn::StoreU(hn::BitCast(D(), bits), D(), dst);
  }
};

void bfloat16_to_float32(const void* src, ByteScale, float* dst, int64_t count) {
  for_vectors(static_cast<const uint16_t*>(src), dst, count, FromBfloat16());
}

void FillLowPrecision(Kernels& kernels) {
  kernels.bytes.from_float32 = float32_to_bytes;
  kernels.bytes.silu_from_float32 = silu_to_bytes;
  kernels.bytes.to_float32 = bytes_to_float32;
  kernels.bfloat16.from_float32 = float32_to_bfloat16;
  kernels.bfloat16.silu_from_float32 = silu_to_bfloat16;
  kernels.bfloat16.to_float32 = bfloat16_to_float32;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_low_precision_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillLowPrecision)(kernels);
}

}  // namespace marrow::engine
#endif
