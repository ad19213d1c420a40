#include "marrow/serve/batch_sizes.h"

#include <algorithm>
#include <bit>

namespace marrow::serve {

// The least, since other work can only make a run longer.
double BatchSizes::Measured::least() const {
  return *std::min_element(seconds.begin(), seconds.begin() + static_cast<long>(std::min(runs, kLastRuns)));
}

size_t BatchSizes::choose(size_t most) {
  const size_t largest = std::bit_floor(most);
  for (size_t size = largest; size > 0; size /= 2)
    if (sizes_[size].runs < kTrials) return size;
  size_t best = 1;
  for (size_t size = 2; size <= largest; size *= 2)
    if (sizes_[size].least() < kWorthwhile * sizes_[best].least()) best = size;
  for (size_t size = largest; size > 0; size /= 2)
    if (size != best && ++sizes_[size].passed_over >= kTryAgain) {
      best = size;
      break;
    }
  sizes_[best].passed_over = 0;
  return best;
}

void BatchSizes::ran(size_t inputs, double seconds) {
  Measured& measured = sizes_[inputs];
  measured.seconds[measured.runs++ % kLastRuns] = seconds / static_cast<double>(inputs);
}

}  // namespace marrow::serve
