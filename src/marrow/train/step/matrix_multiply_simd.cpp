#include "marrow/cpu/dispatch.h"
#include "marrow/train/step/matrix_multiply.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/step/matrix_multiply_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include <algorithm>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums that stay in registers together: twelve vectors, beside two of the panel and a number of `a`.
constexpr int64_t kTileRows = 6;
constexpr int64_t kTileVectors = 2;

void multiply(const ProductSize& size, const float* a, const StridedMatrix& b, float* panel, float* product) {
  const hn::ScalableTag<float> d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<float>()));
  constexpr int64_t kColumns = kTileVectors * kLanes;
  static_assert(kColumns <= kPanelColumns);
  const auto [rows, depth, columns] = size;
  for (int64_t column = 0; column < columns; column += kColumns) {
    const int64_t here = std::min(kColumns, columns - column);
    for (int64_t k = 0; k < depth; ++k) {
      const float* from = b.at + k * b.row_stride + column * b.column_stride;
      for (int64_t c = 0; c < kColumns; ++c)
        panel[k * kColumns + c] = c < here ? from[c * b.column_stride] : 0;
    }
    for (int64_t row = 0; row < rows; row += kTileRows) {
      // Rows past the end are the last one again, and are not stored.
      const int64_t rows_here = std::min(kTileRows, rows - row);
      const float* left[kTileRows];
      for (int64_t r = 0; r < kTileRows; ++r) left[r] = a + (row + std::min(r, rows_here - 1)) * depth;
      hn::Vec<decltype(d)> sums[kTileRows][kTileVectors];
#pragma GCC unroll 6
      for (auto& line : sums)
#pragma GCC unroll 2
        for (auto& sum : line) sum = hn::Zero(d);
      for (int64_t k = 0; k < depth; ++k) {
        hn::Vec<decltype(d)> right[kTileVectors];
#pragma GCC unroll 2
        for (int64_t v = 0; v < kTileVectors; ++v) right[v] = hn::LoadU(d, panel + k * kColumns + v * kLanes);
#pragma GCC unroll 6
        for (int64_t r = 0; r < kTileRows; ++r) {
          const auto one = hn::Set(d, left[r][k]);
#pragma GCC unroll 2
          for (int64_t v = 0; v < kTileVectors; ++v) sums[r][v] = hn::MulAdd(one, right[v], sums[r][v]);
        }
      }
      HWY_ALIGN float tile[kTileRows * kColumns];
#pragma GCC unroll 6
      for (int64_t r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
        for (int64_t v = 0; v < kTileVectors; ++v) hn::Store(sums[r][v], d, tile + r * kColumns + v * kLanes);
      for (int64_t r = 0; r < rows_here; ++r)
        std::copy_n(tile + r * kColumns, here, product + (row + r) * columns + column);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::train {

MatrixMultiply matrix_multiply(cpu::SimdLevel level) {
  return MARROW_CHOOSE(level, &HWY_STATIC_DISPATCH(multiply), multiply);
}

}  // namespace marrow::train

#endif  // HWY_ONCE
