#include "marrow/cpu/matrix_product.h"

#include <gtest/gtest.h>

#include "support/graphs.h"

namespace marrow::cpu {
namespace {

// Products of float32 numbers are exact in double precision, so that only the order of additions could tell.
TEST(MatrixProduct, IsThePlainLoopInDoublePrecisionToTheLastBit) {
  struct Size {
    int64_t rows, depth, columns;
  };
  for (const auto& [rows, depth, columns] : {Size{1, 1, 1}, Size{3, 12, 256}, Size{5, 7, 13}, Size{0, 4, 2},
                                             Size{2, 0, 3}, Size{97, 257, 193}, Size{200, 600, 500}}) {
    const Tensor a = testing::noise({rows, depth}, 1), b = testing::noise({depth, columns}, 2);
    const Tensor product = matrix_product(a, b);
    ASSERT_EQ(product.shape(), (Shape{rows, columns}));
    size_t different = 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < depth; ++k)
          sum += double{a.values()[static_cast<size_t>(r * depth + k)]} *
                 b.values()[static_cast<size_t>(k * columns + c)];
        different +=
            product.values()[static_cast<size_t>(r * columns + c)] != static_cast<float>(sum) ? 1 : 0;
      }
    EXPECT_EQ(different, 0u) << rows << "x" << depth << "x" << columns;
  }
}

}  // namespace
}  // namespace marrow::cpu
