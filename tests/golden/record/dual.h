// Numbers that carry their derivative along: a formula computed with them gives its value and its exact
// derivative by one variable, kinks included. Forward-mode automatic differentiation, Wengert 1964.
#pragma once

#include <cmath>

namespace marrow::golden {

struct Dual {
  double value = 0;
  double slope = 0;

  Dual() = default;
  Dual(double v, double s = 0) : value(v), slope(s) {}
  Dual& operator+=(const Dual& other) {
    value += other.value;
    slope += other.slope;
    return *this;
  }
};

inline Dual operator+(const Dual& a, const Dual& b) {
  return {a.value + b.value, a.slope + b.slope};
}
inline Dual operator-(const Dual& a, const Dual& b) {
  return {a.value - b.value, a.slope - b.slope};
}
inline Dual operator*(const Dual& a, const Dual& b) {
  return {a.value * b.value, a.slope * b.value + a.value * b.slope};
}
inline Dual operator/(const Dual& a, const Dual& b) {
  return {a.value / b.value, (a.slope * b.value - a.value * b.slope) / (b.value * b.value)};
}
inline bool operator<(const Dual& a, const Dual& b) {
  return a.value < b.value;
}
inline bool operator>(const Dual& a, const Dual& b) {
  return a.value > b.value;
}

inline double value_of(double x) {
  return x;
}
inline double value_of(const Dual& x) {
  return x.value;
}

inline Dual exp(const Dual& x) {
  return {std::exp(x.value), std::exp(x.value) * x.slope};
}
inline Dual log(const Dual& x) {
  return {std::log(x.value), x.slope / x.value};
}
inline Dual sqrt(const Dual& x) {
  return {std::sqrt(x.value), x.slope / (2 * std::sqrt(x.value))};
}
inline Dual atan(const Dual& x) {
  return {std::atan(x.value), x.slope / (1 + x.value * x.value)};
}

}  // namespace marrow::golden
