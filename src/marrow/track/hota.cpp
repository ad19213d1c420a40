#include <map>
#include <utility>

#include "marrow/track/scoring.h"

namespace marrow::track {
namespace {

using ObjectAndTrack = std::pair<size_t, size_t>;
using PairSums = std::map<ObjectAndTrack, double>;

double threshold(size_t place) {
  return 0.05 * static_cast<double>(place + 1);
}

// How much of their frames object and track have in common, as if every overlap were a match.
PairSums alignments(const Sequence& sequence) {
  PairSums shared;
  for (const SequenceFrame& frame : sequence.frames) {
    std::vector<double> of_row(frame.objects.size()), of_column(frame.tracks.size());
    for (const PossiblePair& pair : frame.overlaps) {
      of_row[pair.row] += pair.gain;
      of_column[pair.column] += pair.gain;
    }
    for (const PossiblePair& pair : frame.overlaps)
      shared[{frame.objects[pair.row], frame.tracks[pair.column]}] +=
          pair.gain / (of_row[pair.row] + of_column[pair.column] - pair.gain);
  }
  for (auto& [pair, sum] : shared) {
    const auto rows =
        static_cast<double>(sequence.object_rows[pair.first] + sequence.track_rows[pair.second]);
    sum /= rows - sum;
  }
  return shared;
}

}  // namespace

HotaSums hota_sums(const Sequence& sequence) {
  const PairSums alignment = alignments(sequence);
  HotaSums sums;
  std::array<PairSums, HotaSums::kThresholds> matched;  // frames of object and track
  for (const SequenceFrame& frame : sequence.frames) {
    std::vector<PossiblePair> pairs;
    for (const PossiblePair& pair : frame.overlaps) {
      const ObjectAndTrack ids = {frame.objects[pair.row], frame.tracks[pair.column]};
      pairs.push_back({pair.row, pair.column, pair.gain * alignment.at(ids)});
    }
    const auto matches = best_matching(pairs);
    for (size_t a = 0; a < HotaSums::kThresholds; ++a) {
      int64_t found = 0;
      for (const auto& match : matches) {
        const double overlap = frame.overlap_of(match);
        if (overlap < threshold(a) - kOverlapSlack) continue;
        ++found;
        sums.at[a].overlap += overlap;
        ++matched[a][{frame.objects[match.first], frame.tracks[match.second]}];
      }
      sums.at[a].true_positives += found;
      sums.at[a].false_negatives += static_cast<int64_t>(frame.objects.size()) - found;
      sums.at[a].false_positives += static_cast<int64_t>(frame.tracks.size()) - found;
    }
  }
  for (size_t a = 0; a < HotaSums::kThresholds; ++a)
    for (const auto& [pair, frames] : matched[a]) {
      const auto of_object = static_cast<double>(sequence.object_rows[pair.first]);
      const auto of_track = static_cast<double>(sequence.track_rows[pair.second]);
      sums.at[a].association += frames * frames / (of_object + of_track - frames);
      sums.at[a].association_recall += frames * frames / of_object;
      sums.at[a].association_precision += frames * frames / of_track;
    }
  return sums;
}

}  // namespace marrow::track
