// Ground truth and result of a sequence, frame beside frame, as every score reads them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "marrow/track/best_matching.h"
#include "marrow/track/mot_text.h"

namespace marrow::track {

// Objects and tracks numbered from 0 in order of their ids.
struct SequenceFrame {
  std::vector<size_t> objects, tracks;  // of the rows
  // IoU of rows (object's row, track's row) that overlap, in double, without an epsilon; in order of the
  // rows.
  std::vector<PossiblePair> overlaps;

  // Of two rows that overlap.
  double overlap_of(const std::pair<size_t, size_t>& rows) const;
};

struct Sequence {
  std::vector<SequenceFrame> frames;             // in order; those without any box are left out
  std::vector<int64_t> object_rows, track_rows;  // rows of each object and track
};

// Throws Error{kUnsupported} where more than `most_overlaps` pairs of boxes overlap in all frames together.
inline constexpr size_t kMostOverlaps = 50'000'000;
Sequence pair_up(const MotFrames& truth, const MotFrames& result, size_t most_overlaps = kMostOverlaps);

}  // namespace marrow::track
