// The inner loops over many logits. In float there is one set a SIMD level; sums of two levels differ by
// their rounding.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "marrow/cpu/simd_level.h"

namespace marrow::loss {

template <class T>
struct LogitLoops {
  // Returns the sum of softplus(x) = log(1 + e^x). Where `gradient` is not nullptr,
  // gradient[i] = scale * sigmoid(x[i]). x and gradient may be the same.
  double (*softplus)(const T* x, int64_t count, T scale, T* gradient);
  // expected[i] = sum over b of b * softmax(x[0..bins)[i])[b], x (bins, count). count: a multiple of
  // kExpectedCount.
  void (*expected)(const T* x, int bins, int64_t count, T* expected);
};

constexpr int64_t kExpectedCount = 16;

// Every level's function must give NaN where a logit is NaN.
template <class T>
double plain_softplus(const T* x, int64_t count, T scale, T* gradient) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double v = x[i];
    const double e = std::exp(-std::abs(v)), near_one = 1 / (1 + e);
    sum += std::log1p(e) + (v < 0 ? 0 : v);
    if (gradient != nullptr) gradient[i] = static_cast<T>(scale * (v < 0 ? e * near_one : near_one));
  }
  return sum;
}

template <class T>
void plain_expected(const T* x, int bins, int64_t count, T* expected) {
  for (int64_t i = 0; i < count; ++i) {
    double largest = x[i];
    for (int b = 1; b < bins; ++b) largest = std::max<double>(largest, x[b * count + i]);
    double total = 0, weighted = 0;
    for (int b = 0; b < bins; ++b) {
      const double e = std::exp(x[b * count + i] - largest);
      total += e;
      weighted += b * e;
    }
    expected[i] = static_cast<T>(weighted / total);
  }
}

LogitLoops<float> float_logit_loops(cpu::SimdLevel level);

template <class T>
LogitLoops<T> logit_loops(cpu::SimdLevel level) {
  if constexpr (std::is_same_v<T, float>)
    return float_logit_loops(level);
  else
    return {plain_softplus<T>, plain_expected<T>};
}

}  // namespace marrow::loss
