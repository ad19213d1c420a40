#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)

#include "marrow/image/resize_kernel.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/image/resize_kernel.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::image {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2

namespace hn = hwy::HWY_NAMESPACE;

// A pixel is a vector of four sums, the last of which is not wanted: the next pixel overwrites it.
void linear_row(const uint8_t* src, const LinearTap* taps, int count, int16_t* dst) {
  const hn::FixedTag<uint8_t, 16> d8;
  const hn::FixedTag<int16_t, 8> d16;
  const hn::FixedTag<int32_t, 4> d32;
  // Bytes 0 1 2 | 3 4 5 of two neighbours become 16-bit pairs (0 3) (1 4) (2 5).
  alignas(16) static constexpr uint8_t kPairs[16] = {0, 0x80, 3, 0x80, 1,    0x80, 4,    0x80,
                                                     2, 0x80, 5, 0x80, 0x80, 0x80, 0x80, 0x80};
  const auto pairs = hn::Load(d8, kPairs);
  const hn::FixedTag<uint8_t, 8> d_half;
  const hn::FixedTag<int16_t, 4> d_sums;
  for (int x = 0; x < count; ++x, dst += 3) {
    const auto pixels = hn::ZeroExtendVector(d8, hn::LoadU(d_half, src + taps[x].near));
    const auto values = hn::BitCast(d16, hn::TableLookupBytesOr0(pixels, pairs));
    int32_t weights;  // both, the near one low
    std::memcpy(&weights, &taps[x].near_weight, sizeof weights);
    const auto both = hn::BitCast(d16, hn::Set(d32, weights));
    auto unused = hn::Zero(d32);
    const auto sums = hn::ReorderWidenMulAccumulate(d32, values, both, hn::Zero(d32), unused);
    hn::StoreU(hn::DemoteTo(d_sums, hn::ShiftRight<4>(sums)), d_sums, dst);
  }
}

LinearRowKernel make_linear_row() {
  return linear_row;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::image
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::image {
namespace {

LinearRowKernel choose() {
#if defined(__x86_64__)
  // What the compiler may use for Highway's AVX2.
  __builtin_cpu_init();
  const bool can = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                   __builtin_cpu_supports("f16c") && __builtin_cpu_supports("pclmul") &&
                   __builtin_cpu_supports("aes");
  const char* variable = std::getenv("MARROW_SIMD");
  const std::string_view level = variable == nullptr ? "" : variable;
  if (can && (level.empty() || level.starts_with("avx"))) return (HWY_CHOOSE_AVX2(make_linear_row))();
#endif
  return nullptr;
}

}  // namespace

LinearRowKernel linear_row_kernel() {
  static const LinearRowKernel kernel = choose();
  return kernel;
}

}  // namespace marrow::image

#endif  // HWY_ONCE
