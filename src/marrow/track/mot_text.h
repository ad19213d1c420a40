// Files of MOTChallenge: a box a row, comma separated, without a header; frames and ids from 1.
//
//   result        frame, id, left, top, width, height, score, -1, -1, -1
//   detections    frame, -1, left, top, width, height, score
//   ground truth  frame, id, left, top, width, height, flag, class, visibility
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/track/tracker.h"

namespace marrow::track {

struct MotBox {
  int64_t id = 0;
  SizedBox<ImagePixels, double> box;  // pixels, from 0 as published trackers write them
  double value = 1;                   // a score, or ground truth's flag; 1 where the column is missing
};

// The boxes of each frame that has some, in the order of the file.
using MotFrames = std::map<int64_t, std::vector<MotBox>>;

inline constexpr size_t kMaxMotBytes = size_t{1} << 26;
inline constexpr int64_t kLastMotFrame = 10'000'000;  // four days of video
inline constexpr size_t kMostMotBoxes = 5000;         // of one frame

enum class MotKind {
  kTracks,      // results and ground truth: an id is once in a frame
  kDetections,  // ids do not count
};

// Rows of 6 to 10 numbers; blanks count as nothing, blank lines too. Throws Error{kFormat} "file:line: ..."
// for other rows, for numbers that are none, frames outside 1..kLastMotFrame, sizes below 0, an id that is
// twice in a frame. Error{kFile} as read_file does.
MotFrames read_mot(const std::filesystem::path& path, MotKind kind);
// `file` is what messages call the text.
MotFrames parse_mot(std::string_view text, const std::string& file, MotKind kind);

// The rows of one frame's result, by id: sizes with two decimals, scores with four.
std::string mot_rows(int64_t frame, std::span<const TrackedObject> objects);

}  // namespace marrow::track
