#include "marrow/engine/steps/strassen_products.h"

namespace marrow::engine {
namespace {

template <size_t kCount>
using Products = std::array<StrassenProduct, kCount>;

constexpr StrassenSum sum(const StrassenPart& first) {
  StrassenSum sum;
  sum.add(first);
  return sum;
}
constexpr StrassenSum sum(const StrassenPart& first, const StrassenPart& second) {
  StrassenSum both = sum(first);
  both.add(second);
  return both;
}
constexpr StrassenPart plus(int row, int column) {
  return {row, column, 1};
}
constexpr StrassenPart minus(int row, int column) {
  return {row, column, -1};
}

// Marks each part of C in the first and in the last product that adds to it.
template <size_t kCount>
constexpr Products<kCount> with_ends(Products<kCount> products) {
  for (const bool forward : {true, false}) {
    std::array<std::array<bool, 4>, 4> met = {};
    for (size_t p = 0; p < kCount; ++p) {
      StrassenSum& c = products[forward ? p : kCount - 1 - p].c;
      for (size_t i = 0; i < c.count; ++i) {
        StrassenPart& part = c.parts[i];
        bool& before = met[static_cast<size_t>(part.row)][static_cast<size_t>(part.column)];
        (forward ? part.begins : part.ends) = !before;
        before = true;
      }
    }
  }
  return products;
}

//   M1 = (A11 + A22)(B11 + B22)   M2 = (A21 + A22) B11   M3 = A11 (B12 - B22)   M4 = A22 (B21 - B11)
//   M5 = (A11 + A12) B22   M6 = (A21 - A11)(B11 + B12)   M7 = (A12 - A22)(B21 + B22)
//   C11 = M1 + M4 - M5 + M7   C12 = M3 + M5   C21 = M2 + M4   C22 = M1 - M2 + M3 + M6
constexpr Products<7> kOneLevel = with_ends<7>({{
    {sum(plus(0, 0), plus(1, 1)), sum(plus(0, 0), plus(1, 1)), sum(plus(0, 0), plus(1, 1))},
    {sum(plus(1, 0), plus(1, 1)), sum(plus(0, 0)), sum(plus(1, 0), minus(1, 1))},
    {sum(plus(0, 0)), sum(plus(0, 1), minus(1, 1)), sum(plus(0, 1), plus(1, 1))},
    {sum(plus(1, 1)), sum(plus(1, 0), minus(0, 0)), sum(plus(0, 0), plus(1, 0))},
    {sum(plus(0, 0), plus(0, 1)), sum(plus(1, 1)), sum(minus(0, 0), plus(0, 1))},
    {sum(plus(1, 0), minus(0, 0)), sum(plus(0, 0), plus(0, 1)), sum(plus(1, 1))},
    {sum(plus(0, 1), minus(1, 1)), sum(plus(1, 0), plus(1, 1)), sum(plus(0, 0))},
}});

constexpr StrassenSum nest(const StrassenSum& outer, const StrassenSum& inner) {
  StrassenSum nested;
  for (const StrassenPart& o : outer.all())
    for (const StrassenPart& i : inner.all())
      nested.add({2 * o.row + i.row, 2 * o.column + i.column, o.sign * i.sign});
  return nested;
}

constexpr Products<49> two_levels() {
  Products<49> products;
  size_t p = 0;
  for (const StrassenProduct& outer : kOneLevel)
    for (const StrassenProduct& inner : kOneLevel)
      products[p++] = {nest(outer.a, inner.a), nest(outer.b, inner.b), nest(outer.c, inner.c)};
  return with_ends(products);
}
constexpr Products<49> kTwoLevels = two_levels();

}  // namespace

std::span<const StrassenProduct> strassen_products(int levels) {
  if (levels == 1) return kOneLevel;
  return kTwoLevels;
}

}  // namespace marrow::engine
