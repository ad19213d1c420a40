#include "marrow/track/overlaps.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "marrow/base/error.h"

namespace marrow::track {
namespace {

using MotRect = SizedBox<ImagePixels, double>;

double overlap(const MotRect& a, const MotRect& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (!(width > 0) || !(height > 0)) return 0;
  const double shared = width * height;
  return shared / (a.area() + b.area() - shared);
}

// The ids of a file, sorted: the place of one is its number.
std::vector<int64_t> ids_of(const MotFrames& frames) {
  std::vector<int64_t> ids;
  for (const auto& [frame, boxes] : frames)
    for (const MotBox& box : boxes) ids.push_back(box.id);
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

const std::vector<MotBox>& boxes_of(const MotFrames& frames, int64_t frame) {
  static const std::vector<MotBox> kNone;
  const auto found = frames.find(frame);
  return found == frames.end() ? kNone : found->second;
}

std::vector<size_t> numbers_of(const std::vector<MotBox>& boxes, const std::vector<int64_t>& ids,
                               std::vector<int64_t>& rows) {
  std::vector<size_t> numbers;
  for (const MotBox& box : boxes) {
    numbers.push_back(static_cast<size_t>(std::ranges::lower_bound(ids, box.id) - ids.begin()));
    ++rows[numbers.back()];
  }
  return numbers;
}

}  // namespace

double SequenceFrame::overlap_of(const std::pair<size_t, size_t>& rows) const {
  const auto rows_of = [](const PossiblePair& pair) { return std::pair(pair.row, pair.column); };
  return std::ranges::lower_bound(overlaps, rows, {}, rows_of)->gain;
}

Sequence pair_up(const MotFrames& truth, const MotFrames& result, size_t most_overlaps) {
  MotFrames counting = truth;
  for (auto& [frame, boxes] : counting)
    std::erase_if(boxes, [](const MotBox& box) { return box.value == 0; });
  const std::vector<int64_t> objects = ids_of(counting), tracks = ids_of(result);
  std::set<int64_t> frames;
  for (const MotFrames* side : {static_cast<const MotFrames*>(&counting), &result})
    for (const auto& [frame, boxes] : *side)
      if (!boxes.empty()) frames.insert(frame);
  size_t overlaps = 0;
  Sequence sequence;
  sequence.object_rows.resize(objects.size());
  sequence.track_rows.resize(tracks.size());
  for (const int64_t frame : frames) {
    const std::vector<MotBox>& there = boxes_of(counting, frame);
    const std::vector<MotBox>& found = boxes_of(result, frame);
    SequenceFrame& paired = sequence.frames.emplace_back();
    paired.objects = numbers_of(there, objects, sequence.object_rows);
    paired.tracks = numbers_of(found, tracks, sequence.track_rows);
    for (size_t i = 0; i < there.size(); ++i)
      for (size_t j = 0; j < found.size(); ++j)
        if (const double iou = overlap(there[i].box, found[j].box); iou > 0) {
          if (++overlaps > most_overlaps)
            fail_unsupported(
                fmt::format("frame {}: more than {} pairs of boxes overlap up to here: too many to compare",
                            frame, most_overlaps));
          paired.overlaps.push_back({i, j, iou});
        }
  }
  return sequence;
}

}  // namespace marrow::track
