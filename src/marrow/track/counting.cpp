#include "marrow/track/counting.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace marrow::track {
namespace {

// Above 0 where the point is to the right of the line as the picture shows it, whose y grows downwards.
double right_of(const CountingLine& line, ImagePoint point) {
  const double dx = double{line.to.x} - line.from.x, dy = double{line.to.y} - line.from.y;
  return dx * (double{point.y} - line.from.y) - dy * (double{point.x} - line.from.x);
}

int side_of(const CountingLine& line, ImagePoint point) {
  const double right = right_of(line, point);
  return right > 0 ? 1 : right < 0 ? -1 : 0;
}

// Whether the way between two points on different sides meets the line between its ends.
bool meets(const CountingLine& line, ImagePoint before, ImagePoint now) {
  const CountingLine way = {{}, before, now};
  const double from = right_of(way, line.from), to = right_of(way, line.to);
  return (from <= 0 && to >= 0) || (from >= 0 && to <= 0);
}

ImagePoint centre(const Box<ImagePixels>& box) {
  return {(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2};
}

}  // namespace

bool contains(const Zone& zone, ImagePoint point) {
  bool inside = false;
  const size_t corners = zone.corners.size();
  for (size_t i = 0; i < corners; ++i) {
    const ImagePoint a = zone.corners[i], b = zone.corners[(i + 1) % corners];
    if ((a.y > point.y) == (b.y > point.y)) continue;
    const double x = a.x + (double{point.y} - a.y) / (double{b.y} - a.y) * (double{b.x} - a.x);
    if (point.x < x) inside = !inside;
  }
  return inside;
}

Counter::Counter(std::vector<CountingLine> lines, std::vector<Zone> zones, int64_t memory)
    : lines_(std::move(lines)),
      zones_(std::move(zones)),
      memory_(memory),
      line_counts_(lines_.size()),
      zone_counts_(zones_.size()) {}

void Counter::update(std::span<const TrackedObject> objects) {
  ++frame_;
  for (ZoneCount& count : zone_counts_) count.ids.clear();
  if (lines_.empty() && zones_.empty()) return;
  for (const TrackedObject& tracked : objects) {
    const ImagePoint now = centre(tracked.box);
    Object& object = objects_[tracked.id];
    object.seen = frame_;
    object.beside.resize(lines_.size());
    object.side.resize(lines_.size());
    object.visited.resize(zones_.size());
    for (size_t i = 0; i < lines_.size(); ++i) {
      const int side = side_of(lines_[i], now);
      if (side == 0) continue;
      if (object.side[i] == -side && meets(lines_[i], object.beside[i], now))
        ++(side > 0 ? line_counts_[i].in : line_counts_[i].out);
      object.side[i] = side;
      object.beside[i] = now;
    }
    for (size_t i = 0; i < zones_.size(); ++i) {
      if (!contains(zones_[i], now)) continue;
      zone_counts_[i].ids.push_back(tracked.id);
      zone_counts_[i].visitors += !object.visited[i];
      object.visited[i] = true;
    }
  }
  std::erase_if(objects_, [&](const auto& entry) { return frame_ - entry.second.seen > memory_; });
}

nlohmann::ordered_json Counter::to_json() const {
  nlohmann::ordered_json counts = nlohmann::ordered_json::object();
  for (size_t i = 0; i < lines_.size(); ++i)
    counts["lines"].push_back(
        {{"name", lines_[i].name}, {"in", line_counts_[i].in}, {"out", line_counts_[i].out}});
  for (size_t i = 0; i < zones_.size(); ++i)
    counts["zones"].push_back({{"name", zones_[i].name},
                               {"count", zone_counts_[i].ids.size()},
                               {"visitors", zone_counts_[i].visitors},
                               {"ids", zone_counts_[i].ids}});
  return counts;
}

std::string Counter::text() const {
  std::vector<std::string> parts;
  for (size_t i = 0; i < lines_.size(); ++i)
    parts.push_back(
        fmt::format("{}: {} in, {} out", lines_[i].name, line_counts_[i].in, line_counts_[i].out));
  for (size_t i = 0; i < zones_.size(); ++i)
    parts.push_back(fmt::format("{}: {} inside, {} in all", zones_[i].name, zone_counts_[i].ids.size(),
                                zone_counts_[i].visitors));
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace marrow::track
