// The inner loop of matrix_product, one function a SIMD level. All give the same bits: products of float32
// numbers are exact in double precision, and every sum is added up in the order of its depth.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::cpu {

// Sums that stay in registers together: some numbers of the left factor times some vectors of the right one.
struct MatrixTile {
  int64_t rows = 0;
  int64_t columns = 0;
  // sums[r][c] += sum over k of a[k][r] * b[k][c], with a (depth, rows), b (depth, columns) and sums (rows,
  // columns). REQUIRES: b and sums begin at a line of the cache.
  void (*add)(const double* a, const double* b, int64_t depth, double* sums) = nullptr;
  // Parts of the factors, for `add`, in strips of so many rows or columns: (strip, depth, rows or columns),
  // the last one filled up with zeros. Their rows lie `step` floats apart.
  void (*pack_a)(const float* from, int64_t rows, int64_t depth, int64_t step, double* to) = nullptr;
  void (*pack_b)(const float* from, int64_t depth, int64_t columns, int64_t step, double* to) = nullptr;
};
MatrixTile matrix_tile_of(SimdLevel level);

}  // namespace marrow::cpu
