// Who belongs to whom: a one-to-one matching whose gains add up to the most.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace marrow::track {

// A pair that may be matched, and what that is worth. Only gains above 0 count.
struct PossiblePair {
  size_t row = 0, column = 0;
  double gain = 0;
};

// The pairs (row, column) of a matching that maximises the sum of the gains, by row. A row or column without
// a pair stays alone. Of equal sums any one. Each pair is given at most once. Rows that share no columns are
// solved apart, in time that grows as their number cubed. Throws Error{kUnsupported} where more than
// kMostTogether pairs would have to be weighed at once.
//
// An assignment with a limit, which minimises the sum of (cost - limit), is this one with gain = limit -
// cost.
inline constexpr size_t kMostTogether = 25'000'000;
std::vector<std::pair<size_t, size_t>> best_matching(const std::vector<PossiblePair>& pairs);

}  // namespace marrow::track
