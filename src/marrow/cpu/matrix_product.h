// The product of two large matrices, for weights that are merged.
#pragma once

#include "marrow/base/tensor.h"

namespace marrow::cpu {

// (rows, depth) times (depth, columns), both float32: every sum in double precision, the result float32. At
// most so many threads, 0: available_threads(); small products take one. The numbers depend neither on them
// nor on the SIMD level. Throws as choose_simd_level() does.
Tensor matrix_product(const Tensor& a, const Tensor& b, int threads);

}  // namespace marrow::cpu
