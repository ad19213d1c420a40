#include "marrow/geometry/keypoint_sigmas.h"

namespace marrow {

std::vector<double> keypoint_sigmas(int points, int numbers) {
  constexpr int kPersonPoints = 17;
  if (points == kPersonPoints && numbers == 3)
    return {.026, .025, .025, .035, .035, .079, .079, .072, .072,
            .062, .062, .107, .107, .087, .087, .089, .089};
  return std::vector<double>(static_cast<size_t>(points), 1.0 / points);
}

std::vector<double> keypoint_sigmas(int points, int numbers, const std::vector<double>& own, Rules rules) {
  return own.empty() || rules == Rules::k83 ? keypoint_sigmas(points, numbers) : own;
}

}  // namespace marrow
