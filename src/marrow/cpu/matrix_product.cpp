#include "marrow/cpu/matrix_product.h"

#include <algorithm>

#include "marrow/cpu/matrix_tile.h"
#include "marrow/cpu/thread_pool.h"

namespace marrow::cpu {
namespace {

// One task's part of the result, of whole tiles of any level: large enough that packing both factors' parts
// of that size takes a twentieth of the multiplications' time, and small enough that they and the sums stay
// in the second-level cache. A column tile, kDepth deep, stays in the first while all row tiles pass it.
constexpr int64_t kTaskRows = 192;
constexpr int64_t kTaskColumns = 384;
constexpr int64_t kDepth = 128;

constexpr int64_t tiles(int64_t size, int64_t tile) {
  return (size + tile - 1) / tile;
}

// What one thread works with: left, right, and sums as (row tile, column tile, row, column).
constexpr int64_t kLeft = kTaskRows * kDepth, kRight = kTaskColumns * kDepth,
                  kSums = kTaskRows * kTaskColumns;

}  // namespace

Tensor matrix_product(const Tensor& a, const Tensor& b, int threads) {
  const MatrixTile tile = matrix_tile_of(choose_simd_level());
  const int64_t rows = a.dim(0), depth = a.dim(1), columns = b.dim(1);
  Tensor result({rows, columns});
  const float* left = a.values().data();
  const float* right = b.values().data();
  float* out = result.values().data();

  constexpr int64_t kWorthThreads = 50'000'000;  // multiplications: some ten milliseconds
  ThreadPool pool(rows * depth * columns < kWorthThreads ? 1 : threads);
  Tensor scratch({pool.threads(), kLeft + kRight + kSums}, DType::kFloat64);
  const int64_t across = tiles(columns, kTaskColumns);
  pool.parallel_for(tiles(rows, kTaskRows) * across, [&](int64_t task, int thread) {
    const int64_t row = task / across * kTaskRows, column = task % across * kTaskColumns;
    const int64_t task_rows = std::min(kTaskRows, rows - row);
    const int64_t task_columns = std::min(kTaskColumns, columns - column);
    const int64_t row_tiles = tiles(task_rows, tile.rows), column_tiles = tiles(task_columns, tile.columns);
    double* const packed_left = scratch.values<double>().data() + thread * (kLeft + kRight + kSums);
    double* const packed_right = packed_left + kLeft;
    double* const sums = packed_right + kRight;
    const auto tile_sums = [&](int64_t r, int64_t c) {
      return sums + (r * column_tiles + c) * tile.rows * tile.columns;
    };
    std::fill_n(sums, row_tiles * column_tiles * tile.rows * tile.columns, 0.0);
    for (int64_t first = 0; first < depth; first += kDepth) {
      const int64_t deep = std::min(kDepth, depth - first);
      tile.pack_a(left + row * depth + first, task_rows, deep, depth, packed_left);
      tile.pack_b(right + first * columns + column, deep, task_columns, columns, packed_right);
      for (int64_t c = 0; c < column_tiles; ++c)
        for (int64_t r = 0; r < row_tiles; ++r)
          tile.add(packed_left + r * deep * tile.rows, packed_right + c * deep * tile.columns, deep,
                   tile_sums(r, c));
    }
    for (int64_t r = 0; r < task_rows; ++r)
      for (int64_t c = 0; c < task_columns; ++c)
        out[(row + r) * columns + column + c] = static_cast<float>(
            tile_sums(r / tile.rows, c / tile.columns)[r % tile.rows * tile.columns + c % tile.columns]);
  });
  return result;
}

}  // namespace marrow::cpu
