// The inner loops of batch norm over maps whose channels lie together, (rows, channels): one set a SIMD
// level. All give the same bits.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::train {

struct BatchNormRows {
  // sum_a[c] += a[r][c], sum_ab[c] += a[r][c] * b[r][c], in double precision
  void (*add_products)(const float* a, const float* b, int64_t rows, int64_t channels, double* sum_a,
                       double* sum_ab);
  // y = x factor + offset
  void (*scale_and_shift)(const float* x, int64_t rows, int64_t channels, const float* factor,
                          const float* offset, float* y);
  // dx = (dy - mean_dy - (x - mean) slope) factor
  void (*input_gradient)(const float* x, const float* dy, int64_t rows, int64_t channels, const float* mean,
                         const float* mean_dy, const float* slope, const float* factor, float* dx);
};

// Throws as choose_simd_level() does.
BatchNormRows batch_norm_rows(cpu::SimdLevel level = cpu::choose_simd_level());

}  // namespace marrow::train
