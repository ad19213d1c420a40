// How far two rows of numbers are apart at most; NaN where one has a NaN.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>

#include "marrow/base/tensor.h"

namespace marrow::testing {

inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = difference;  // a NaN stays
  }
  return largest;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const Tensor x = a.to_float(), y = b.to_float();
  return largest_difference(x.values(), y.values());
}

}  // namespace marrow::testing
