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
// Of 32 or 16 registers, one is left for a number of the left factor, and three are for those of the right.
constexpr bool kManyRegisters = kLanes == 8 || HWY_ARCH_ARM_A64;
constexpr int64_t kTileRows = kManyRegisters ? 8 : 4;
constexpr int64_t kVectors = 3;
constexpr int64_t kTileColumns = kVectors * kLanes;

// The sums stand in double precision between one depth and the next, so that the order of additions is that
// of the plain loop.
void add_tile(const double* HWY_RESTRICT a, const double* HWY_RESTRICT b, int64_t depth,
              double* HWY_RESTRICT sums) {
  const D d;
  hn::Vec<D> local[kTileRows][kVectors];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kTileRows; ++r)
#pragma GCC unroll 3
    for (int64_t v = 0; v < kVectors; ++v) local[r][v] = hn::Load(d, sums + r * kTileColumns + v * kLanes);
  for (int64_t k = 0; k < depth; ++k, a += kTileRows, b += kTileColumns) {
    const hn::Vec<D> right[kVectors] = {hn::Load(d, b), hn::Load(d, b + kLanes), hn::Load(d, b + 2 * kLanes)};
#pragma GCC unroll 8
    for (int64_t r = 0; r < kTileRows; ++r) {
      const hn::Vec<D> left = hn::Set(d, a[r]);
#pragma GCC unroll 3
      for (int64_t v = 0; v < kVectors; ++v) local[r][v] = hn::MulAdd(left, right[v], local[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < kTileRows; ++r)
#pragma GCC unroll 3
    for (int64_t v = 0; v < kVectors; ++v) hn::Store(local[r][v], d, sums + r * kTileColumns + v * kLanes);
}

// A strip that `count` rows or columns do not fill.
template <int64_t kWidth>
void pack_rest(const float* from, int64_t count, int64_t step, int64_t depth, int64_t depth_step,
               double* to) {
  for (int64_t k = 0; k < depth; ++k, to += kWidth, from += depth_step)
    for (int64_t i = 0; i < kWidth; ++i) to[i] = i < count ? from[i * step] : 0;
}

void pack_a(const float* from, int64_t rows, int64_t depth, int64_t step, double* to) {
  for (; rows > 0; rows -= kTileRows, from += kTileRows * step, to += kTileRows * depth) {
    if (rows < kTileRows) {
      pack_rest<kTileRows>(from, rows, step, depth, 1, to);
      return;
    }
    for (int64_t k = 0; k < depth; ++k)
#pragma GCC unroll 8
      for (int64_t r = 0; r < kTileRows; ++r) to[k * kTileRows + r] = from[r * step + k];
  }
}

void pack_b(const float* from, int64_t depth, int64_t columns, int64_t step, double* to) {
  const D d;
  const hn::Rebind<float, D> narrow;
  for (; columns > 0; columns -= kTileColumns, from += kTileColumns) {
    if (columns < kTileColumns) {
      pack_rest<kTileColumns>(from, columns, 1, depth, step, to);
      return;
    }
    for (int64_t k = 0; k < depth; ++k, to += kTileColumns)
#pragma GCC unroll 3
      for (int64_t v = 0; v < kVectors; ++v)
        hn::Store(hn::PromoteTo(d, hn::LoadU(narrow, from + k * step + v * kLanes)), d, to + v * kLanes);
  }
}

MatrixTile matrix_tile() {
  return {kTileRows, kTileColumns, add_tile, pack_a, pack_b};
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::cpu {
namespace {

constexpr int64_t kPlainRows = 4, kPlainColumns = 12;

void add_tile_plain(const double* a, const double* b, int64_t depth, double* sums) {
  for (int64_t k = 0; k < depth; ++k, a += kPlainRows, b += kPlainColumns)
    for (int64_t r = 0; r < kPlainRows; ++r)
      for (int64_t c = 0; c < kPlainColumns; ++c) sums[r * kPlainColumns + c] += a[r] * b[c];
}

template <int64_t kWidth>
void pack_strips(const float* from, int64_t wide, int64_t wide_step, int64_t depth, int64_t depth_step,
                 double* to) {
  for (int64_t first = 0; first < wide; first += kWidth)
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t i = first; i < first + kWidth; ++i)
        *to++ = i < wide ? from[i * wide_step + k * depth_step] : 0;
}
void pack_a_plain(const float* from, int64_t rows, int64_t depth, int64_t step, double* to) {
  pack_strips<kPlainRows>(from, rows, step, depth, 1, to);
}
void pack_b_plain(const float* from, int64_t depth, int64_t columns, int64_t step, double* to) {
  pack_strips<kPlainColumns>(from, columns, 1, depth, step, to);
}

MatrixTile plain_matrix_tile() {
  return {kPlainRows, kPlainColumns, add_tile_plain, pack_a_plain, pack_b_plain};
}

}  // namespace

MatrixTile matrix_tile_of(SimdLevel level) {
  return MARROW_CHOOSE(level, plain_matrix_tile, matrix_tile)();
}

}  // namespace marrow::cpu

#endif  // HWY_ONCE
