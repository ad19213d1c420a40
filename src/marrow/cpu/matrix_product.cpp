#include "marrow/cpu/matrix_product.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "marrow/cpu/thread_pool.h"

namespace marrow::cpu {
namespace {

// Sums that stay in registers together: with four lanes nine of them, three numbers of the left factor and
// four of the right one fit the 16 registers that AVX2 has.
constexpr int64_t kRows = 3;
constexpr int64_t kColumns = 12;
// One task's part of the result. Both factors' parts of that size, kDepth deep, stay in the second-level
// cache, and are read from memory once for thousands of multiplications.
constexpr int64_t kTaskRows = 32 * kRows;
constexpr int64_t kTaskColumns = 16 * kColumns;
constexpr int64_t kDepth = 256;

// a (depth, kRows), b (depth, kColumns), sums (kRows, kColumns). The sums stand in double precision between
// one depth and the next, so that the order of additions is that of the plain loop. Vectors of kLanes are
// written as such since compilers leave loops over plain numbers in memory.
using AddTile = void (*)(const double* a, const double* b, int64_t depth, double* sums);

template <int64_t kLanes>
[[gnu::always_inline]] inline void add_lanes(const double* a, const double* b, int64_t depth, double* sums) {
  using Lanes [[gnu::vector_size(kLanes * sizeof(double))]] = double;
  Lanes local[kRows][kColumns / kLanes];
  std::memcpy(local, sums, sizeof local);
  for (int64_t k = 0; k < depth; ++k, a += kRows, b += kColumns)
    for (int64_t c = 0; c < kColumns / kLanes; ++c) {
      Lanes right;
      std::memcpy(&right, b + c * kLanes, sizeof right);
      for (int64_t r = 0; r < kRows; ++r) local[r][c] += a[r] * right;
    }
  std::memcpy(sums, local, sizeof local);
}

void add_tile(const double* a, const double* b, int64_t depth, double* sums) {
  add_lanes<2>(a, b, depth, sums);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void add_tile_avx2(const double* a, const double* b, int64_t depth,
                                                       double* sums) {
  add_lanes<4>(a, b, depth, sums);
}

AddTile choose_add_tile() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? add_tile_avx2 : add_tile;
}
#else
AddTile choose_add_tile() {
  return add_tile;
}
#endif

constexpr int64_t tiles(int64_t size, int64_t tile) {
  return (size + tile - 1) / tile;
}

// A part of a matrix, `wide` x `deep`, as strips of kWidth side by side: (strip, deep, kWidth), the last one
// filled up with zeros.
template <int64_t kWidth>
void pack(const float* from, int64_t wide, int64_t wide_stride, int64_t deep, int64_t deep_stride,
          double* to) {
  for (int64_t first = 0; first < wide; first += kWidth) {
    const int64_t count = std::min(kWidth, wide - first);
    for (int64_t k = 0; k < deep; ++k, to += kWidth) {
      const float* line = from + first * wide_stride + k * deep_stride;
      for (int64_t i = 0; i < count; ++i) to[i] = line[i * wide_stride];
      std::fill(to + count, to + kWidth, 0.0);
    }
  }
}

// What one thread works with.
struct Scratch {
  std::vector<double> left = std::vector<double>(kTaskRows * kDepth);
  std::vector<double> right = std::vector<double>(kTaskColumns * kDepth);
  std::vector<double> sums =
      std::vector<double>(kTaskRows * kTaskColumns);  // (row tile, column tile, kRows, kColumns)
};

}  // namespace

Tensor matrix_product(const Tensor& a, const Tensor& b) {
  const int64_t rows = a.dim(0), depth = a.dim(1), columns = b.dim(1);
  Tensor result({rows, columns});
  const float* left = a.values().data();
  const float* right = b.values().data();
  float* out = result.values().data();

  constexpr int64_t kWorthThreads = 50'000'000;  // multiplications: some ten milliseconds
  ThreadPool pool(rows * depth * columns < kWorthThreads ? 1 : 0);
  const AddTile add = choose_add_tile();
  std::vector<Scratch> scratch(static_cast<size_t>(pool.threads()));
  const int64_t across = tiles(columns, kTaskColumns);
  pool.parallel_for(tiles(rows, kTaskRows) * across, [&](int64_t task, int thread) {
    const int64_t row = task / across * kTaskRows, column = task % across * kTaskColumns;
    const int64_t task_rows = std::min(kTaskRows, rows - row);
    const int64_t task_columns = std::min(kTaskColumns, columns - column);
    const int64_t row_tiles = tiles(task_rows, kRows), column_tiles = tiles(task_columns, kColumns);
    Scratch& s = scratch[static_cast<size_t>(thread)];
    const auto tile_sums = [&](int64_t r, int64_t c) {
      return s.sums.data() + (r * column_tiles + c) * kRows * kColumns;
    };
    std::ranges::fill(s.sums, 0.0);
    for (int64_t first = 0; first < depth; first += kDepth) {
      const int64_t deep = std::min(kDepth, depth - first);
      pack<kRows>(left + row * depth + first, task_rows, depth, deep, 1, s.left.data());
      pack<kColumns>(right + first * columns + column, task_columns, 1, deep, columns, s.right.data());
      for (int64_t c = 0; c < column_tiles; ++c)
        for (int64_t r = 0; r < row_tiles; ++r)
          add(s.left.data() + r * deep * kRows, s.right.data() + c * deep * kColumns, deep, tile_sums(r, c));
    }
    for (int64_t r = 0; r < task_rows; ++r)
      for (int64_t c = 0; c < task_columns; ++c)
        out[(row + r) * columns + column + c] =
            static_cast<float>(tile_sums(r / kRows, c / kColumns)[r % kRows * kColumns + c % kColumns]);
  });
  return result;
}

}  // namespace marrow::cpu
