// The inner loop of matrix_product, one function a SIMD level. All give the same bits: products of float32
// numbers are exact in double precision, and every sum is added up in the order of its depth.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::cpu {

// Sums that stay in registers together: with four lanes nine of them, three numbers of the left factor and
// four of the right one fit the 16 registers that AVX2 has.
constexpr int64_t kTileRows = 3;
constexpr int64_t kTileColumns = 12;

// sums[r][c] += sum over k of a[k][r] * b[k][c], with a (depth, kTileRows), b (depth, kTileColumns) and sums
// (kTileRows, kTileColumns).
using AddTile = void (*)(const double* a, const double* b, int64_t depth, double* sums);
AddTile add_tile_of(SimdLevel level);

}  // namespace marrow::cpu
