// The product of two float32 matrices in float32, on one thread and in room that is given.
// cpu/matrix_product.h adds in double precision instead, for weights that are merged once.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::train {

struct ProductSize {
  int64_t rows = 0, depth = 0, columns = 0;
};

// Element (k, c) is at[k * row_stride + c * column_stride].
struct StridedMatrix {
  const float* at = nullptr;
  int64_t row_stride = 0, column_stride = 0;
};

constexpr int64_t kPanelColumns = 32;  // at most

// product (rows, columns) = a (rows, depth) b (depth, columns); `panel` has room for depth * kPanelColumns.
// Every sum is in the order of its depth. The product overlaps neither factor.
using MatrixMultiply = void (*)(const ProductSize& size, const float* a, const StridedMatrix& b, float* panel,
                                float* product);

// Throws as choose_simd_level() does.
MatrixMultiply matrix_multiply(cpu::SimdLevel level = cpu::choose_simd_level());

}  // namespace marrow::train
