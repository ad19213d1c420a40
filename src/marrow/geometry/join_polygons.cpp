#include "marrow/geometry/join_polygons.h"

#include <algorithm>
#include <limits>

namespace marrow {
namespace {

using Part = std::vector<std::array<double, 2>>;

struct Pair {
  size_t first = 0, second = 0;
};

Pair closest(const Part& a, const Part& b) {
  Pair best;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j) {
      const double x = a[i][0] - b[j][0], y = a[i][1] - b[j][1];
      if (const double distance = x * x + y * y; distance < least) {
        least = distance;
        best = {i, j};
      }
    }
  return best;
}

// A part's ring, from where it is entered and closed by its first point again, and how many points on it the
// way goes on to the next part.
struct Ring {
  std::vector<size_t> points;
  size_t leaves = 0;
};

Ring ring_of(size_t count, size_t enters, size_t leaves) {
  const bool reversed = enters > leaves;
  if (reversed) {
    enters = count - 1 - enters;
    leaves = count - 1 - leaves;
  }
  Ring ring{.points = {}, .leaves = leaves - enters};
  for (size_t i = 0; i <= count; ++i) {
    const size_t point = (enters + i) % count;
    ring.points.push_back(reversed ? count - 1 - point : point);
  }
  return ring;
}

}  // namespace

std::vector<PartPoint> join_polygons(std::span<const std::vector<std::array<double, 2>>> parts) {
  std::vector<PartPoint> joined;
  if (parts.size() == 1)
    for (size_t i = 0; i < parts[0].size(); ++i) joined.push_back({0, i});
  if (parts.size() < 2) return joined;
  std::vector<Pair> bridges;
  for (size_t p = 0; p + 1 < parts.size(); ++p) bridges.push_back(closest(parts[p], parts[p + 1]));
  std::vector<Ring> rings;
  for (size_t p = 0; p < parts.size(); ++p) {
    const bool is_first = p == 0, is_last = p + 1 == parts.size();
    const size_t enters = is_first ? bridges[p].first : bridges[p - 1].second;
    rings.push_back(ring_of(parts[p].size(), enters, is_first || is_last ? enters : bridges[p].first));
    const auto end = is_first || is_last ? rings[p].points.size() : rings[p].leaves + 1;
    for (size_t i = 0; i < end; ++i) joined.push_back({p, rings[p].points[i]});
  }
  for (size_t p = parts.size() - 1; p-- > 1;)
    for (size_t i = rings[p].leaves; i < rings[p].points.size(); ++i)
      joined.push_back({p, rings[p].points[i]});
  return joined;
}

}  // namespace marrow
