// The integers of OpenCV's 8-bit conversion to hue, saturation and value, for the plain and the vector form.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace marrow::image {

constexpr int kHsvShift = 12;
constexpr int kHsvHalf = 1 << (kHsvShift - 1);
constexpr int kHues = 180;
constexpr int kHsvVectorPixels = 32;  // in a step of OpenCV's vector code

// round(numerator * 4096 / i), 0 for 0. No quotient of the two tables lies half-way.
constexpr std::array<int32_t, 256> hsv_factors(int numerator) {
  std::array<int32_t, 256> table{};
  for (int i = 1; i < 256; ++i) table[static_cast<size_t>(i)] = ((numerator << kHsvShift) * 2 + i) / (2 * i);
  return table;
}

constexpr std::array<int32_t, 256> kSaturationFactors = hsv_factors(255);
constexpr std::array<int32_t, 256> kHueFactors = hsv_factors(kHues / 6);

}  // namespace marrow::image
