#include <map>
#include <numeric>
#include <utility>

#include "marrow/track/scoring.h"

namespace marrow::track {
namespace {

constexpr double kIdentityThreshold = 0.5;

}  // namespace

IdentitySums identity_sums(const Sequence& sequence) {
  // Frames in which object and track have one place.
  std::map<std::pair<size_t, size_t>, double> together;
  for (const SequenceFrame& frame : sequence.frames)
    for (const PossiblePair& pair : frame.overlaps)
      if (pair.gain >= kIdentityThreshold) ++together[{frame.objects[pair.row], frame.tracks[pair.column]}];
  std::vector<PossiblePair> pairs;
  for (const auto& [pair, frames] : together) pairs.push_back({pair.first, pair.second, frames});
  IdentitySums sums;
  for (const auto& pair : best_matching(pairs))
    sums.true_positives += static_cast<int64_t>(together.at(pair));
  const auto rows = [](const std::vector<int64_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), int64_t{0});
  };
  sums.false_negatives = rows(sequence.object_rows) - sums.true_positives;
  sums.false_positives = rows(sequence.track_rows) - sums.true_positives;
  return sums;
}

}  // namespace marrow::track
