#include <cstring>

#include "marrow/cpu/dispatch.h"
#include "marrow/image/resize_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/image/resize_kernel_simd.cpp"
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

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::image
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::image {

LinearRowKernel linear_row_kernel(cpu::SimdLevel level) {
  return cpu::choose<LinearRowKernel>(level, {.avx2 = HWY_CHOOSE_AVX2(linear_row)});
}

}  // namespace marrow::image

#endif  // HWY_ONCE
