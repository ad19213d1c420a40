// Several polygons as one, by bridges of no width. Source: COCO's annotations of one object in several parts,
// as training on polygons wants them.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace marrow {

struct PartPoint {
  size_t part = 0, point = 0;
  bool operator==(const PartPoint&) const = default;
};

// The points of the joined polygon, in order. Consecutive parts meet where two of their vertices are closest;
// of equal ones the first. `parts`: closed polygons (the last point joins the first), at least one point
// each. Of one part its own points.
std::vector<PartPoint> join_polygons(std::span<const std::vector<std::array<double, 2>>> parts);

}  // namespace marrow
