// Floats rounded to pairs of bfloat16 by AVX-512 BF16, which Highway 1.0 lacks. Functions carry their target,
// as in engine/kernels/low_precision_vnni.cpp.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <array>

#include "marrow/train/native/kernels/kernels.h"

namespace marrow::train::native {

#if defined(__x86_64__)

namespace {

#define MARROW_PAIRS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

constexpr int64_t kPairLanes = 16;

MARROW_PAIRS void pair_lanes(const float* src, float* dst, int64_t pixels) {
  int64_t p = 0;
  for (; p + 2 <= pixels; p += 2, src += 2 * kPairLanes, dst += kPairLanes) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(src + kPairLanes), _mm512_loadu_ps(src));
    _mm512_storeu_si512(dst, reinterpret_cast<__m512i>(both));
  }
  if (p < pixels)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(src))));
}

// Words of one register by words of the other.
constexpr std::array<int16_t, 2 * kPairLanes> interleaved() {
  std::array<int16_t, 2 * kPairLanes> order{};
  for (int16_t i = 0; i < 2 * kPairLanes; ++i)
    order[static_cast<size_t>(i)] = static_cast<int16_t>(i / 2 + i % 2 * kPairLanes);
  return order;
}

MARROW_PAIRS void pair_pixels(const PairPixelsArgs& args) {
  static constexpr auto kOrder = interleaved();
  const __m512i order = _mm512_loadu_si512(kOrder.data());
  const float* src = args.src;
  float* dst = args.dst;
  for (int64_t p = 0; p < args.pixels; p += 2, src += 2 * args.src_step, dst += kPairLanes) {
    const __m512 second = p + 1 < args.pixels ? _mm512_loadu_ps(src + args.src_step) : _mm512_setzero_ps();
    const __m512bh both = _mm512_cvtne2ps_pbh(second, _mm512_loadu_ps(src));
    _mm512_storeu_si512(dst, _mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(both)));
  }
}

}  // namespace

bool has_pair_products(cpu::SimdLevel level) {
  return level == cpu::SimdLevel::kAvx512 && __builtin_cpu_supports("avx512bf16");
}

void add_pair_kernels(Kernels& kernels) {
  if (!has_pair_products(kernels.level)) return;
  kernels.pair_lanes = pair_lanes;
  kernels.pair_pixels = pair_pixels;
}

#else

bool has_pair_products(cpu::SimdLevel) {
  return false;
}

void add_pair_kernels(Kernels&) {}

#endif

}  // namespace marrow::train::native
