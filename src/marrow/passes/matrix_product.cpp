#include "passes/matrix_product.h"

#include <algorithm>

#include "base/thread_pool.h"

// The loop in tile_sums() is compiled for several CPUs, and the one that this process runs on chooses. (Sanitizers
// come up after such a choice is made.)
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define MARROW_FOR_EACH_CPU __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define MARROW_FOR_EACH_CPU
#endif

namespace marrow {
namespace {

// Sums that stay in registers together.
constexpr int64_t kRows = 4;
constexpr int64_t kColumns = 12;

// a (depth, kRows), b (depth, kColumns), sums (kRows, kColumns).
MARROW_FOR_EACH_CPU void tile_sums(const double* a, const double* b, int64_t depth, double* sums) {
  double local[kRows][kColumns] = {};
  for (int64_t k = 0; k < depth; ++k, a += kRows, b += kColumns)
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t c = 0; c < kColumns; ++c) local[r][c] += a[r] * b[c];
  std::copy(&local[0][0], &local[0][0] + kRows * kColumns, sums);
}

constexpr int64_t tiles(int64_t size, int64_t tile) {
  return (size + tile - 1) / tile;
}

}  // namespace

Tensor matrix_product(const Tensor& a, const Tensor& b) {
  const int64_t rows = a.dim(0), depth = a.dim(1), columns = b.dim(1);
  Tensor result({rows, columns});
  const float* left = a.values().data();
  const float* right = b.values().data();
  float* out = result.values().data();

  // Strips of kRows rows side by side, the last one filled up with zeros.
  std::vector<double> strips(static_cast<size_t>(tiles(rows, kRows) * kRows * depth));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < depth; ++k)
      strips[static_cast<size_t>((r / kRows * depth + k) * kRows + r % kRows)] = left[r * depth + k];

  constexpr int64_t kWorthThreads = 50'000'000;  // multiplications: some ten milliseconds
  ThreadPool pool(rows * depth * columns < kWorthThreads ? 1 : 0);
  std::vector<double> panels(static_cast<size_t>(pool.threads() * depth * kColumns));
  pool.parallel_for(tiles(columns, kColumns), [&](int64_t chunk, int thread) {
    const int64_t first = chunk * kColumns, count = std::min(kColumns, columns - first);
    double* panel = panels.data() + thread * depth * kColumns;
    for (int64_t k = 0; k < depth; ++k) {
      const float* from = right + k * columns + first;
      std::fill(std::copy(from, from + count, panel + k * kColumns), panel + (k + 1) * kColumns, 0.0);
    }
    double sums[kRows * kColumns];
    for (int64_t r = 0; r < rows; r += kRows) {
      tile_sums(strips.data() + r * depth, panel, depth, sums);
      for (int64_t i = 0; i < std::min(kRows, rows - r); ++i)
        for (int64_t c = 0; c < count; ++c)
          out[(r + i) * columns + first + c] = static_cast<float>(sums[i * kColumns + c]);
    }
  });
  return result;
}

}  // namespace marrow
