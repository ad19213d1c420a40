// Boxes and their overlap by the definition, in double.
#pragma once

#include <algorithm>
#include <array>

namespace marrow::golden {

template <class T>
using BoxOf = std::array<T, 4>;
using Box = BoxOf<double>;

// Of corners x1, y1, x2, y2.
inline double area(const Box& box) {
  return (box[2] - box[0]) * (box[3] - box[1]);
}
inline double common(const Box& a, const Box& b) {
  return std::max(0.0, std::min(a[2], b[2]) - std::max(a[0], b[0])) *
         std::max(0.0, std::min(a[3], b[3]) - std::max(a[1], b[1]));
}
inline double overlap(const Box& a, const Box& b) {
  return common(a, b) / (area(a) + area(b) - common(a, b));  // 0/0 is not above any threshold
}

}  // namespace marrow::golden
