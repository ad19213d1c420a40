// Between a block's pixels and planar rows.
#pragma once

#include <algorithm>
#include <cstdint>

namespace marrow {

namespace transpose_detail {

// A few pixels at a time: they stay in the first-level cache while each lane is read from them, and rows are written
// a cache line at a time.
constexpr int64_t kPixels = 16;

template <int kLanes>
void block_to_rows(const float* src, int64_t pixels, int64_t rows, float* dst, int64_t row_stride) {
  int64_t first = 0;
  for (; first + kPixels <= pixels; first += kPixels)
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t p = 0; p < kPixels; ++p)
        dst[row * row_stride + first + p] = src[(first + p) * kLanes + row];
  for (; first < pixels; ++first)
    for (int64_t row = 0; row < rows; ++row) dst[row * row_stride + first] = src[first * kLanes + row];
}

}  // namespace transpose_detail

// dst[row * row_stride + p] = src[p * lanes + row] for the first `rows` lanes; lanes is 4, 8 or 16.
inline void block_to_rows(const float* src, int lanes, int64_t pixels, int64_t rows, float* dst,
                          int64_t row_stride) {
  if (lanes == 4) return transpose_detail::block_to_rows<4>(src, pixels, rows, dst, row_stride);
  if (lanes == 8) return transpose_detail::block_to_rows<8>(src, pixels, rows, dst, row_stride);
  transpose_detail::block_to_rows<16>(src, pixels, rows, dst, row_stride);
}

}  // namespace marrow
