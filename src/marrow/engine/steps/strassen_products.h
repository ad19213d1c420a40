// The products of Strassen's algorithm (Gaussian Elimination is not Optimal, 1969) by one level or two: the
// matrices of C = A B are halved, or quartered, in each dimension, and 7 products of sums of such parts do
// the work of 8, or 49 that of 64.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace marrow::engine {

// A part with its sign: A's are [part of the pixels][of the input channels], B's [input channels][outputs],
// C's [pixels][outputs].
struct StrassenPart {
  int row = 0;
  int column = 0;
  float sign = 0;
  bool begins = false;  // of C: no product before adds to it
  bool ends = false;    // of C: none after it does
};
constexpr size_t kMostStrassenParts = 4;
struct StrassenSum {
  std::array<StrassenPart, kMostStrassenParts> parts;
  size_t count = 0;

  constexpr void add(const StrassenPart& part) { parts[count++] = part; }
  constexpr std::span<const StrassenPart> all() const { return {parts.data(), count}; }
};
// c += sum of a times sum of b
struct StrassenProduct {
  StrassenSum a, b, c;
};

// `levels`: 1 or 2.
std::span<const StrassenProduct> strassen_products(int levels);

}  // namespace marrow::engine
