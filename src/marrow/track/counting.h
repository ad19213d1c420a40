// How many objects cross a line, and how many are in a zone.
//
// An object is where the centre of its box is.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/track/tracker.h"

namespace marrow::track {

using ImagePoint = Point<ImagePixels>;

// From `from` to `to`. Who crosses it from left to right, seen by somebody who walks along it, goes in; the
// other way is out. So for a line drawn from left to right of the picture `in` is downwards.
struct CountingLine {
  std::string name;
  ImagePoint from, to;
};

struct Zone {
  std::string name;
  std::vector<ImagePoint> corners;  // at least three; a corner may point inwards
};

// "x1,y1,x2,y2" or "NAME=x1,y1,x2,y2", in pixels of the picture; a zone has three corners or more. Without a
// name it is "line 1" or "zone 1", by its place. Throws Error{kUsage} "OPTION: ...", also for a line or zone
// without a length or size, and for a name that is taken.
std::vector<CountingLine> read_lines(std::span<const std::string> texts, const std::string& option);
std::vector<Zone> read_zones(std::span<const std::string> texts, const std::string& option);

// Whether the point is inside, by the even-odd rule.
bool contains(const Zone& zone, ImagePoint point);

class Counter {
 public:
  struct LineCount {
    int64_t in = 0, out = 0;
  };
  struct ZoneCount {
    std::vector<int64_t> ids;  // in it now, as the tracker's list has them
    int64_t visitors = 0;      // ids that have been in it
  };

  // An object that is out of sight is remembered for `memory` frames: as long as its number may return.
  Counter(std::vector<CountingLine> lines, std::vector<Zone> zones, int64_t memory);

  // Every frame, also one without objects.
  void update(std::span<const TrackedObject> objects);

  const std::vector<CountingLine>& lines() const { return lines_; }
  const std::vector<Zone>& zones() const { return zones_; }
  const std::vector<LineCount>& line_counts() const { return line_counts_; }
  const std::vector<ZoneCount>& zone_counts() const { return zone_counts_; }

  // {"lines": [{"name", "in", "out"}], "zones": [{"name", "count", "visitors", "ids"}]}; what there is not is
  // left out.
  nlohmann::ordered_json to_json() const;
  // "door: 3 in, 1 out; square: 2 inside": for people; empty without lines and zones.
  std::string text() const;

 private:
  struct Object {
    int64_t seen = 0;  // frame
    // Of each line: where it was last beside the line and not on it; and on which side, 0 before it was.
    std::vector<ImagePoint> beside;
    std::vector<int> side;
    std::vector<bool> visited;  // each zone
  };

  std::vector<CountingLine> lines_;
  std::vector<Zone> zones_;
  int64_t memory_;
  int64_t frame_ = 0;
  std::map<int64_t, Object> objects_;
  std::vector<LineCount> line_counts_;
  std::vector<ZoneCount> zone_counts_;
};

}  // namespace marrow::track
