// The nearest orthogonal matrix to a momentum, roughly, by five steps of a quintic Newton-Schulz iteration
// whose numbers are rounded to bfloat16. Source: Muon, Jordan et al. 2024.
//
// The room it works in is kept from one matrix to the next: one object a thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/cpu/simd_level.h"
#include "marrow/train/step/matrix_multiply.h"

namespace marrow::train {

class Orthogonalizer {
 public:
  // Throws as choose_simd_level() does.
  explicit Orthogonalizer(cpu::SimdLevel level = cpu::choose_simd_level());

  // In place; `matrix` is (rows, columns).
  void orthogonalize(std::span<float> matrix, int64_t rows, int64_t columns);

 private:
  MatrixMultiply multiply_;
  std::vector<float> x_, gram_, polynomial_, product_, panel_;
};

}  // namespace marrow::train
