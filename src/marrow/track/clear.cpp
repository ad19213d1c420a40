#include "marrow/track/scoring.h"

namespace marrow::track {
namespace {

constexpr double kThreshold = 0.5;
constexpr double kContinued = 1000;  // a match that goes on is worth more than any other

constexpr size_t kNone = static_cast<size_t>(-1);

struct ObjectHistory {
  size_t last = kNone;    // the track that it was matched with last
  size_t before = kNone;  // in the frame before, without those that were skipped
  int64_t matched = 0;    // frames
  int64_t begun = 0;      // stretches of frames
};

}  // namespace

ClearSums clear_sums(const Sequence& sequence) {
  ClearSums sums;
  std::vector<ObjectHistory> histories(sequence.object_rows.size());
  std::vector<size_t> matched_before;  // objects
  for (const SequenceFrame& frame : sequence.frames) {
    const auto objects = static_cast<int64_t>(frame.objects.size());
    const auto tracks = static_cast<int64_t>(frame.tracks.size());
    if (objects == 0 || tracks == 0) {
      sums.false_positives += tracks;
      sums.false_negatives += objects;
      continue;
    }
    std::vector<PossiblePair> pairs;
    for (const PossiblePair& pair : frame.overlaps)
      if (pair.gain >= kThreshold - kOverlapSlack) {
        const bool goes_on = histories[frame.objects[pair.row]].before == frame.tracks[pair.column];
        pairs.push_back({pair.row, pair.column, pair.gain + (goes_on ? kContinued : 0)});
      }
    const auto matches = best_matching(pairs);
    std::vector<size_t> matched_now;
    for (const auto& match : matches) {
      const size_t object = frame.objects[match.first], track = frame.tracks[match.second];
      ObjectHistory& history = histories[object];
      sums.switches += history.last != kNone && history.last != track;
      history.begun += history.before == kNone;
      history.last = track;
      ++history.matched;
      matched_now.push_back(object);
      sums.overlap += frame.overlap_of(match);
    }
    for (const size_t object : matched_before) histories[object].before = kNone;
    for (const size_t object : matched_now) histories[object].before = histories[object].last;
    matched_before = std::move(matched_now);
    const auto pairs_found = static_cast<int64_t>(matches.size());
    sums.true_positives += pairs_found;
    sums.false_negatives += objects - pairs_found;
    sums.false_positives += tracks - pairs_found;
  }
  for (size_t object = 0; object < histories.size(); ++object) {
    const ObjectHistory& history = histories[object];
    if (history.begun > 0) sums.fragments += history.begun - 1;
    const double share =
        static_cast<double>(history.matched) / static_cast<double>(sequence.object_rows[object]);
    ++(share > 0.8 ? sums.mostly_tracked : share < 0.2 ? sums.mostly_lost : sums.partly_tracked);
  }
  return sums;
}

}  // namespace marrow::track
