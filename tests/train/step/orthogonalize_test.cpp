#include "marrow/train/step/orthogonalize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "marrow/base/random.h"
#include "support/largest_difference.h"

namespace marrow::train {
namespace {

std::vector<float> drawn(int64_t size, uint64_t seed = 5) {
  Random random(seed, "matrix");
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = static_cast<float>(random.uniform(-1, 1));
  return values;
}

TEST(MatrixMultiply, EqualsTheSumsOfItsDefinition) {
  for (const cpu::SimdLevel level : cpu::available_simd_levels())
    for (const auto& [rows, depth, columns] :
         {ProductSize{1, 1, 1}, {7, 5, 3}, {6, 40, 33}, {13, 17, 64}, {5, 0, 4}}) {
      SCOPED_TRACE(::testing::Message()
                   << cpu::simd_name(level) << ' ' << rows << ' ' << depth << ' ' << columns);
      const std::vector<float> a = drawn(rows * depth), b = drawn(depth * columns, 6);
      for (const bool transposed : {false, true}) {
        const StridedMatrix right = {b.data(), transposed ? 1 : columns, transposed ? depth : 1};
        std::vector<float> panel(static_cast<size_t>(depth * kPanelColumns));
        std::vector<float> product(static_cast<size_t>(rows * columns), -1), wanted(product.size());
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c) {
            double sum = 0;
            for (int64_t k = 0; k < depth; ++k)
              sum += static_cast<double>(a[static_cast<size_t>(r * depth + k)]) *
                     right.at[k * right.row_stride + c * right.column_stride];
            wanted[static_cast<size_t>(r * columns + c)] = static_cast<float>(sum);
          }
        matrix_multiply(level)({rows, depth, columns}, a.data(), right, panel.data(), product.data());
        EXPECT_LE(testing::largest_difference(product, wanted), 4e-6);  // 40 roundings of sums below 8
      }
    }
}

// The iteration's polynomial takes a number near 1 to one between 0.7 and 1.2, and that is what it does to
// every singular value: X X^T is near the unit matrix.
TEST(Orthogonalizer, MakesRowsNearlyOrthogonal) {
  Orthogonalizer orthogonalizer;
  constexpr int64_t kRows = 9, kColumns = 50;
  std::vector<float> matrix = drawn(kRows * kColumns);
  orthogonalizer.orthogonalize(matrix, kRows, kColumns);
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t j = 0; j < kRows; ++j) {
      double product = 0;
      for (int64_t k = 0; k < kColumns; ++k)
        product += static_cast<double>(matrix[static_cast<size_t>(i * kColumns + k)]) *
                   matrix[static_cast<size_t>(j * kColumns + k)];
      EXPECT_NEAR(product, i == j ? 1 : 0, 0.5) << i << ' ' << j;
    }
}

// x <- a x + b x^3 + c x^5, five times from 1, as worked out by hand in double precision.
TEST(Orthogonalizer, FollowsThePolynomialOnOneNumber) {
  double x = 1;
  for (int step = 0; step < 5; ++step) x = 3.4445 * x - 4.7750 * std::pow(x, 3) + 2.0315 * std::pow(x, 5);
  std::vector<float> matrix = {-0.3F};
  Orthogonalizer().orthogonalize(matrix, 1, 1);
  EXPECT_NEAR(matrix[0], -x, 2e-2);  // bfloat16 has eight bits
}

TEST(Orthogonalizer, TreatsATransposedMatrixAlike) {
  constexpr int64_t kRows = 4, kColumns = 11;
  const std::vector<float> drawn_matrix = drawn(kRows * kColumns);
  std::vector<float> wide = drawn_matrix, tall(wide.size());
  for (size_t r = 0; r < kRows; ++r)
    for (size_t c = 0; c < kColumns; ++c) tall[c * kRows + r] = wide[r * kColumns + c];
  Orthogonalizer orthogonalizer;
  orthogonalizer.orthogonalize(tall, kColumns, kRows);
  orthogonalizer.orthogonalize(wide, kRows, kColumns);
  for (size_t r = 0; r < kRows; ++r)
    for (size_t c = 0; c < kColumns; ++c) EXPECT_EQ(tall[c * kRows + r], wide[r * kColumns + c]);
}

TEST(Orthogonalizer, LeavesZerosZero) {
  std::vector<float> matrix(12);
  Orthogonalizer().orthogonalize(matrix, 3, 4);
  for (const float value : matrix) EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace marrow::train
