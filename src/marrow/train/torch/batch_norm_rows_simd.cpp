// Plain loops: the compiler makes vectors of channels, and src/marrow/CMakeLists.txt says how.
#include "marrow/cpu/dispatch.h"
#include "marrow/train/torch/batch_norm_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "marrow/train/torch/batch_norm_rows_simd.cpp"
#include "hwy/foreach_target.h"
// after foreach_target.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace marrow::train {
namespace HWY_NAMESPACE {

void add_products(const float* a, const float* b, int64_t rows, int64_t channels, double* HWY_RESTRICT sum_a,
                  double* HWY_RESTRICT sum_ab) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float *a0 = a + r * channels, *b0 = b + r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const double v0 = a0[c], v1 = a0[c + channels], v2 = a0[c + 2 * channels], v3 = a0[c + 3 * channels];
      sum_a[c] += (v0 + v1) + (v2 + v3);
      sum_ab[c] +=
          (v0 * b0[c] + v1 * b0[c + channels]) + (v2 * b0[c + 2 * channels] + v3 * b0[c + 3 * channels]);
    }
  }
  for (; r < rows; ++r)
    for (int64_t c = 0; c < channels; ++c) {
      const double v = a[r * channels + c];
      sum_a[c] += v;
      sum_ab[c] += v * b[r * channels + c];
    }
}

void scale_and_shift(const float* x, int64_t rows, int64_t channels, const float* factor, const float* offset,
                     float* HWY_RESTRICT y) {
  for (int64_t r = 0; r < rows; ++r, x += channels, y += channels)
    for (int64_t c = 0; c < channels; ++c) y[c] = x[c] * factor[c] + offset[c];
}

void input_gradient(const float* x, const float* dy, int64_t rows, int64_t channels, const float* mean,
                    const float* mean_dy, const float* slope, const float* factor, float* HWY_RESTRICT dx) {
  for (int64_t r = 0; r < rows; ++r, x += channels, dy += channels, dx += channels)
    for (int64_t c = 0; c < channels; ++c)
      dx[c] = (dy[c] - mean_dy[c] - (x[c] - mean[c]) * slope[c]) * factor[c];
}

BatchNormRows make_batch_norm_rows() {
  return {add_products, scale_and_shift, input_gradient};
}

}  // namespace HWY_NAMESPACE
}  // namespace marrow::train
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace marrow::train {

BatchNormRows batch_norm_rows(cpu::SimdLevel level) {
  return MARROW_CHOOSE(level, &HWY_STATIC_DISPATCH(make_batch_norm_rows), make_batch_norm_rows)();
}

}  // namespace marrow::train

#endif  // HWY_ONCE
