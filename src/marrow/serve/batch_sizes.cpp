#include "marrow/serve/batch_sizes.h"

#include <algorithm>
#include <bit>

namespace marrow::serve {

// The median. Decoding beside it is a part of every run's time; what else the machine does is in some.
double BatchSizes::Measured::usual() const {
  std::array<double, kLastRuns> sorted = seconds;
  const auto end = sorted.begin() + static_cast<long>(std::min(runs, kLastRuns));
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  return *middle;
}

size_t BatchSizes::choose(size_t most) {
  const size_t largest = std::bit_floor(most);
  for (size_t size = largest; size > 0; size /= 2)
    if (sizes_[size].runs < kTrials) return size;
  size_t best = 1;
  for (size_t size = 2; size <= largest; size *= 2)
    if (sizes_[size].usual() < kWorthwhile * sizes_[best].usual()) best = size;
  for (size_t size = largest; size > 0; size /= 2)
    if (size != best && ++sizes_[size].passed_over >= kTryAgain) {
      sizes_[size] = {};
      return size;
    }
  sizes_[best].passed_over = 0;
  return best;
}

void BatchSizes::ran(size_t at_once, double seconds_each) {
  Measured& measured = sizes_[at_once];
  measured.seconds[measured.runs++ % kLastRuns] = seconds_each;
}

}  // namespace marrow::serve
