#include "marrow/cpu/dispatch.h"
#include "marrow/cpu/matrix_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/cpu/matrix_tile_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<double, 8>;
constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
constexpr int64_t kVectors = kLanes < 4 ? 6 : 3;
constexpr int64_t kTileColumns = kVectors * kLanes;

// The sums stand in double precision between one depth and the next, so that the order of additions is that
// of the plain loop.
void add_tile(const double* a, const double* b, int64_t depth, double* sums) {
  const D d;
  hn::Vec<D> local[kTileRows][kVectors];
#pragma GCC unroll 3
  for (int64_t r = 0; r < kTileRows; ++r)
#pragma GCC unroll 6
    for (int64_t v = 0; v < kVectors; ++v) local[r][v] = hn::LoadU(d, sums + r * kTileColumns + v * kLanes);
  for (int64_t k = 0; k < depth; ++k, a += kTileRows, b += kTileColumns)
#pragma GCC unroll 6
    for (int64_t v = 0; v < kVectors; ++v) {
      const hn::Vec<D> right = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 3
      for (int64_t r = 0; r < kTileRows; ++r) local[r][v] = hn::MulAdd(hn::Set(d, a[r]), right, local[r][v]);
    }
#pragma GCC unroll 3
  for (int64_t r = 0; r < kTileRows; ++r)
#pragma GCC unroll 6
    for (int64_t v = 0; v < kVectors; ++v) hn::StoreU(local[r][v], d, sums + r * kTileColumns + v * kLanes);
}

MatrixTile matrix_tile() {
  return {kTileColumns, add_tile};
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::cpu {
namespace {

constexpr int64_t kPlainColumns = 12;

void add_tile_plain(const double* a, const double* b, int64_t depth, double* sums) {
  for (int64_t k = 0; k < depth; ++k, a += kTileRows, b += kPlainColumns)
    for (int64_t r = 0; r < kTileRows; ++r)
      for (int64_t c = 0; c < kPlainColumns; ++c) sums[r * kPlainColumns + c] += a[r] * b[c];
}

MatrixTile plain_matrix_tile() {
  return {kPlainColumns, add_tile_plain};
}

}  // namespace

MatrixTile matrix_tile_of(SimdLevel level) {
  return MARROW_CHOOSE(level, plain_matrix_tile, matrix_tile)();
}

}  // namespace marrow::cpu

#endif  // HWY_ONCE
