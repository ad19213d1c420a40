// A block's pixels into planar rows: square transpositions in registers.
#include "marrow/cpu/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/engine/kernels/layout_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"
#include "marrow/engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::engine {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR

void FillLayout(Kernels&) {}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(HWY_MAX_BYTES / sizeof(float));
constexpr int kGroups = kLanes / 4;  // 128-bit blocks in a vector, and groups of four rows

// Four rows: every 4 x 4 block of theirs is transposed.
HWY_INLINE void transpose_fours(V (&rows)[4]) {
  const hn::RepartitionToWide<hn::RebindToUnsigned<D> > wide;
  const D d;
  const V ab_low = hn::InterleaveLower(d, rows[0], rows[1]),
          ab_high = hn::InterleaveUpper(d, rows[0], rows[1]);
  const V cd_low = hn::InterleaveLower(d, rows[2], rows[3]),
          cd_high = hn::InterleaveUpper(d, rows[2], rows[3]);
  const auto lower = [&](V a, V b) {
    return hn::BitCast(d, hn::InterleaveLower(wide, hn::BitCast(wide, a), hn::BitCast(wide, b)));
  };
  const auto upper = [&](V a, V b) {
    return hn::BitCast(d, hn::InterleaveUpper(wide, hn::BitCast(wide, a), hn::BitCast(wide, b)));
  };
  rows[0] = lower(ab_low, cd_low);
  rows[1] = upper(ab_low, cd_low);
  rows[2] = lower(ab_high, cd_high);
  rows[3] = upper(ab_high, cd_high);
}

// blocks[j] = the j-th 128-bit block of each vector in turn.
HWY_INLINE void transpose_blocks([[maybe_unused]] V (&blocks)[kGroups]) {
#if HWY_MAX_BYTES == 64
  const D d;
  const V x0 = hn::ConcatLowerLower(d, blocks[2], blocks[0]),
          x1 = hn::ConcatLowerLower(d, blocks[3], blocks[1]);
  const V x2 = hn::ConcatUpperUpper(d, blocks[2], blocks[0]),
          x3 = hn::ConcatUpperUpper(d, blocks[3], blocks[1]);
  blocks[0] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(x1), x0);
  blocks[1] = hn::OddEvenBlocks(x1, hn::SwapAdjacentBlocks(x0));
  blocks[2] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(x3), x2);
  blocks[3] = hn::OddEvenBlocks(x3, hn::SwapAdjacentBlocks(x2));
#elif HWY_MAX_BYTES == 32
  const D d;
  const V low = hn::ConcatLowerLower(d, blocks[1], blocks[0]);
  blocks[1] = hn::ConcatUpperUpper(d, blocks[1], blocks[0]);
  blocks[0] = low;
#endif
}

void block_to_rows(const float* src, int64_t pixels, int64_t rows, float* dst, int64_t row_stride) {
  const D d;
  int64_t first = 0;
  for (; first + kLanes <= pixels; first += kLanes) {
    V fours[kGroups][4];  // [group of pixels][lane % 4]
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) fours[g][i] = hn::LoadU(d, src + (first + 4 * g + i) * kLanes);
      transpose_fours(fours[g]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      V blocks[kGroups];
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) blocks[g] = fours[g][i];
      transpose_blocks(blocks);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g)
        if (4 * g + i < rows) hn::StoreU(blocks[g], d, dst + (4 * g + i) * row_stride + first);
    }
  }
  for (; first < pixels; ++first)
    for (int64_t row = 0; row < rows; ++row) dst[row * row_stride + first] = src[first * kLanes + row];
}

void FillLayout(Kernels& kernels) {
  kernels.block_to_rows = block_to_rows;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace marrow::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace marrow::engine {

void add_layout_kernels(Kernels& kernels) {
  MARROW_CHOOSE(kernels.level, nullptr, FillLayout)(kernels);
}

}  // namespace marrow::engine
#endif
