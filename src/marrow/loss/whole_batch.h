// What a loss divides by is of the whole batch, of which the images at hand may be a part: that of one worker
// of several.
#pragma once

#include <cstdint>
#include <functional>

namespace marrow::loss {

struct WholeBatch {
  int64_t all_images = 0;  // 0: those at hand
  // Of a number over all parts, each of which asks for the same sums in the same order. Empty: there is one.
  std::function<double(double part)> sum = {};

  int64_t images(int64_t at_hand) const { return all_images > 0 ? all_images : at_hand; }
  double total(double part) const { return sum ? sum(part) : part; }
};

}  // namespace marrow::loss
