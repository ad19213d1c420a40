// The inner loops of an optimizer's step over flat buffers: one set a SIMD level. Where a level has fused
// multiplications and additions, their numbers are those of PyTorch's CPU kernels to the bit; the levels that
// have none round once more. Buffers are 64-byte aligned and sizes are multiples of 16.
#pragma once

#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::train {

// A part of one parameter.
struct UpdatePart {
  float* weights = nullptr;
  const float* gradient = nullptr;
  float* first = nullptr;   // momentum, or the gradients' mean
  float* second = nullptr;  // the mean or the maximum of their squares
  float* average = nullptr;
  int64_t size = 0;
};

// What a step multiplies by; all rules begin with
//   g = gradient gradient_scale + decay w,   w = shrink w
struct StepNumbers {
  float gradient_scale = 1;
  float decay = 0;
  float shrink = 1;
  float first_keep = 0, first_share = 0;    // m = first_keep m + first_share g
  float second_keep = 0, second_share = 0;  // v = second_keep v + second_share g^2
  float divisor = 1;                        // of v, or of its root
  float rate = 0;                           // negative
  float gradient_rate = 0;                  // NAdam's, of the gradient itself; negative
  float average_share = 0;                  // the average moves so far towards w, which is last
};

using UpdateRule = void (*)(const UpdatePart& part, const StepNumbers& numbers);

struct UpdateRules {
  // m = first_keep m + g,   w += rate (g + first_keep m)
  UpdateRule sgd;
  // v as above,   m = first_keep m + g / (sqrt(v) + eps),   w += rate m
  UpdateRule rms_prop;
  // m and v as above, w += rate m / (sqrt(v) / divisor + eps)
  UpdateRule adam;
  // v = max(second_keep v, |g| + eps),   w += rate m / v
  UpdateRule adamax;
  // s = sqrt(v / divisor) + eps,   w += gradient_rate g / s + rate m / s
  UpdateRule nadam;
  // w += rate m
  UpdateRule radam_early;
  // w += rate m / (sqrt(v) + eps)
  UpdateRule radam;

  // average += share (weights - average)
  void (*move_average)(const float* weights, float* average, int64_t size, float share);
  // Muon's momentum with Nesterov's look ahead, g the gradient times its scale:
  //   average = keep average + share g,   ahead = keep average + share g
  void (*look_ahead)(const float* gradient, float gradient_scale, float keep, float share, float* average,
                     float* ahead, int64_t size);
  // y += x factor
  void (*add_scaled)(const float* x, float factor, float* y, int64_t size);
  void (*scale)(float* values, float factor, int64_t size);
  // In double precision and one order: the same bits on all levels.
  double (*sum_of_squares)(const float* values, int64_t size);
};

// Throws as choose_simd_level() does.
UpdateRules update_rules(cpu::SimdLevel level = cpu::choose_simd_level());

}  // namespace marrow::train
