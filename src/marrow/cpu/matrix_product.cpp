#include "marrow/cpu/matrix_product.h"

#include <algorithm>
#include <vector>

#include "marrow/cpu/matrix_tile.h"
#include "marrow/cpu/thread_pool.h"

namespace marrow::cpu {
namespace {

// One task's part of the result, large enough that packing both factors' parts of that size takes a
// twentieth of the multiplications' time. A column tile, kDepth deep, stays in the first-level cache while
// all row tiles, which stay in the second, pass it.
constexpr int64_t kTaskRows = 128 * kTileRows;
constexpr int64_t kTaskColumns = 768;  // whole tiles of any level
constexpr int64_t kDepth = 128;

constexpr int64_t tiles(int64_t size, int64_t tile) {
  return (size + tile - 1) / tile;
}

// A part of a matrix, `wide` x `deep`, as strips of a tile's width side by side: (strip, deep, tile), the
// last one filled up with zeros.
void pack(const float* from, int64_t wide, int64_t wide_stride, int64_t deep, int64_t deep_stride,
          int64_t tile, double* to) {
  for (int64_t first = 0; first < wide; first += tile) {
    const int64_t count = std::min(tile, wide - first);
    const float* line = from + first * wide_stride;
    for (int64_t k = 0; k < deep; ++k, to += tile, line += deep_stride) {
      if (wide_stride == 1)
        std::copy_n(line, count, to);
      else
        for (int64_t i = 0; i < count; ++i) to[i] = line[i * wide_stride];
      std::fill_n(to + count, tile - count, 0.0);
    }
  }
}

// What one thread works with.
struct Scratch {
  std::vector<double> left = std::vector<double>(kTaskRows * kDepth);
  std::vector<double> right = std::vector<double>(kTaskColumns * kDepth);
  std::vector<double> sums =
      std::vector<double>(kTaskRows * kTaskColumns);  // (row tile, column tile, row, column)
};

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
  std::vector<Scratch> scratch(static_cast<size_t>(pool.threads()));
  const int64_t across = tiles(columns, kTaskColumns);
  pool.parallel_for(tiles(rows, kTaskRows) * across, [&](int64_t task, int thread) {
    const int64_t row = task / across * kTaskRows, column = task % across * kTaskColumns;
    const int64_t task_rows = std::min(kTaskRows, rows - row);
    const int64_t task_columns = std::min(kTaskColumns, columns - column);
    const int64_t row_tiles = tiles(task_rows, kTileRows), column_tiles = tiles(task_columns, tile.columns);
    Scratch& s = scratch[static_cast<size_t>(thread)];
    const auto tile_sums = [&](int64_t r, int64_t c) {
      return s.sums.data() + (r * column_tiles + c) * kTileRows * tile.columns;
    };
    std::ranges::fill(s.sums, 0.0);
    for (int64_t first = 0; first < depth; first += kDepth) {
      const int64_t deep = std::min(kDepth, depth - first);
      pack(left + row * depth + first, task_rows, depth, deep, 1, kTileRows, s.left.data());
      pack(right + first * columns + column, task_columns, 1, deep, columns, tile.columns, s.right.data());
      for (int64_t c = 0; c < column_tiles; ++c)
        for (int64_t r = 0; r < row_tiles; ++r)
          tile.add(s.left.data() + r * deep * kTileRows, s.right.data() + c * deep * tile.columns, deep,
                   tile_sums(r, c));
    }
    for (int64_t r = 0; r < task_rows; ++r)
      for (int64_t c = 0; c < task_columns; ++c)
        out[(row + r) * columns + column + c] = static_cast<float>(
            tile_sums(r / kTileRows, c / tile.columns)[r % kTileRows * tile.columns + c % tile.columns]);
  });
  return result;
}

}  // namespace marrow::cpu
