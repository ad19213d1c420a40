#include "marrow/cpu/matrix_product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/cpu/matrix_tile.h"
#include "support/environment.h"
#include "support/graphs.h"

namespace marrow::cpu {
namespace {

struct Case {
  Tensor a, b;
  std::vector<float> product;  // by a plain loop in double precision
};

std::vector<Case> cases() {
  struct Size {
    int64_t rows, depth, columns;
  };
  std::vector<Case> all;
  for (const auto& [rows, depth, columns] : {Size{1, 1, 1}, Size{3, 12, 256}, Size{5, 7, 13}, Size{0, 4, 2},
                                             Size{2, 0, 3}, Size{97, 257, 193}, Size{200, 600, 500}}) {
    Case& one = all.emplace_back(testing::noise({rows, depth}, 1), testing::noise({depth, columns}, 2),
                                 std::vector<float>());
    const float *a = one.a.values().data(), *b = one.b.values().data();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < depth; ++k) sum += double{a[r * depth + k]} * b[k * columns + c];
        one.product.push_back(static_cast<float>(sum));
      }
  }
  return all;
}

void expect_plain_loop(const std::vector<Case>& cases, int threads) {
  for (const auto& [a, b, plain] : cases) {
    const Tensor product = matrix_product(a, b, threads);
    ASSERT_EQ(product.shape(), (Shape{a.shape()[0], b.shape()[1]}));
    EXPECT_TRUE(std::ranges::equal(product.values(), plain))
        << a.shape()[0] << "x" << a.shape()[1] << "x" << b.shape()[1];
  }
}

// Products of float32 numbers are exact in double precision, so that only the order of additions could tell.
TEST(MatrixProduct, IsThePlainLoopInDoublePrecisionToTheLastBit) {
  const std::vector<Case> all = cases();
  for (const SimdLevel level : available_simd_levels()) {
    SCOPED_TRACE(simd_name(level));
    const testing::Environment environment("MARROW_SIMD", std::string(simd_name(level)).c_str());
    expect_plain_loop(all, 0);
  }
  expect_plain_loop(all, 1);
  expect_plain_loop(all, 3);
}

TEST(MatrixProduct, ObeysTheEnvironment) {
  const testing::Environment environment("MARROW_SIMD", "avx521");
  try {
    matrix_product(Tensor({1, 1}), Tensor({1, 1}), 1);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("MARROW_SIMD: unknown SIMD level 'avx521'"), std::string::npos)
        << error.what();
  }
}

TEST(MatrixProduct, EveryLevelHasATileOfItsOwn) {
  std::vector<decltype(MatrixTile::add)> tiles;
  for (const SimdLevel level : available_simd_levels()) tiles.push_back(matrix_tile_of(level).add);
  EXPECT_EQ(std::ranges::count(tiles, nullptr), 0);
  std::ranges::sort(tiles);
  EXPECT_EQ(std::ranges::adjacent_find(tiles), tiles.end());
}

// The threads of this process while a product large enough for several is made.
TEST(MatrixProduct, StartsNoMoreThreadsThanItWasGiven) {
  const auto threads_now = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const Tensor a = testing::noise({400, 512}, 1), b = testing::noise({512, 400}, 2);
  for (const int threads : {1, 3}) {
    std::atomic<bool> done = false;
    std::atomic<std::ptrdiff_t> most = 0;
    const std::ptrdiff_t before = threads_now();
    std::thread watch([&] {
      while (!done) most = std::max<std::ptrdiff_t>(most, threads_now());
    });
    for (int i = 0; i < 5; ++i) matrix_product(a, b, threads);
    done = true;
    watch.join();
    EXPECT_EQ(most - before - 1, threads - 1);  // the watch itself; the caller is one of the threads
  }
}

}  // namespace
}  // namespace marrow::cpu
