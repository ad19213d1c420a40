// The product of two large matrices, for weights that are merged.
#pragma once

#include "marrow/base/tensor.h"

namespace marrow::cpu {

// (rows, depth) times (depth, columns), both float32: every sum in double precision, the result float32. Any
// number of processors; the numbers do not depend on it.
Tensor matrix_product(const Tensor& a, const Tensor& b);

}  // namespace marrow::cpu
