// The inner loop of matrix_product, one function a SIMD level. All give the same bits: products of float32
// numbers are exact in double precision, and every sum is added up in the order of its depth.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::cpu {

// Sums that stay in registers together: three numbers of the left factor, and of the right one three vectors
// with AVX2 and AVX-512, six with fewer lanes.
constexpr int64_t kTileRows = 3;

struct MatrixTile {
  int64_t columns = 0;
  // sums[r][c] += sum over k of a[k][r] * b[k][c], with a (depth, kTileRows), b (depth, columns) and sums
  // (kTileRows, columns).
  void (*add)(const double* a, const double* b, int64_t depth, double* sums) = nullptr;
};
MatrixTile matrix_tile_of(SimdLevel level);

}  // namespace marrow::cpu
