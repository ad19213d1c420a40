// Ground truth and result of a sequence, frame beside frame, as every score reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/track/best_matching.h"
#include "marrow/track/mot_text.h"

namespace marrow::track {

// Objects and tracks numbered from 0 in order of their ids.
struct SequenceFrame {
  std::vector<size_t> objects, tracks;  // of the rows
  // IoU of rows (object's row, track's row) that overlap, in double, without an epsilon.
  std::vector<PossiblePair> overlaps;
};

struct Sequence {
  std::vector<SequenceFrame> frames;             // in order; those without any box are left out
  std::vector<int64_t> object_rows, track_rows;  // rows of each object and track
};

Sequence pair_up(const MotFrames& truth, const MotFrames& result);

}  // namespace marrow::track
