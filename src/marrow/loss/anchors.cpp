#include "marrow/loss/anchors.h"

#include <algorithm>
#include <cmath>

namespace marrow::loss {
namespace {

constexpr double kInsideMargin = 1e-9;  // pixels; strict inside

}  // namespace

int64_t anchor_count(std::span<const AnchorLevel> levels) {
  return levels.empty() ? 0 : levels.back().first + levels.back().size();
}

const AnchorLevel& level_of(std::span<const AnchorLevel> levels, int64_t anchor) {
  size_t l = 0;
  while (anchor >= levels[l].first + levels[l].size()) ++l;
  return levels[l];
}

CellOfAnchor cell_of(std::span<const AnchorLevel> levels, int64_t anchor) {
  const AnchorLevel& level = level_of(levels, anchor);
  const int64_t cell = anchor - level.first;
  return {static_cast<size_t>(&level - levels.data()), cell, static_cast<double>(cell % level.width) + 0.5,
          static_cast<double>(cell / level.width) + 0.5, level.stride};
}

double width_of(std::span<const AnchorLevel> levels) {
  return static_cast<double>(levels[0].width) * levels[0].stride;
}
double height_of(std::span<const AnchorLevel> levels) {
  return static_cast<double>(levels[0].height) * levels[0].stride;
}

BoxXyxy search_box(const BoxXyxy& box, double smallest_side) {
  if (smallest_side <= 0) return box;
  const auto smallest = static_cast<float>(smallest_side);
  BoxXyxy grown;
  for (size_t axis = 0; axis < 2; ++axis) {
    const float middle = (box[axis] + box[axis + 2]) / 2, side = box[axis + 2] - box[axis];
    const float half = (side < smallest ? smallest : side) / 2;
    grown[axis] = middle - half;
    grown[axis + 2] = middle + half;
  }
  return grown;
}

CellRange cells_between(float low, float high, int stride, int64_t count) {
  if (!(low < high)) return {};  // nor where one is not a number
  const auto centre = [&](int64_t cell) { return (static_cast<double>(cell) + 0.5) * stride; };
  const auto above = [&](int64_t cell) { return centre(cell) - low > kInsideMargin; };
  const auto below = [&](int64_t cell) { return high - centre(cell) > kInsideMargin; };
  // Estimates, right to a cell, and then the definition.
  const auto cell_at = [&](double pixel) {
    return static_cast<int64_t>(std::clamp(std::floor(pixel / stride), 0.0, static_cast<double>(count)));
  };
  CellRange range = {std::max<int64_t>(cell_at(low) - 1, 0), std::min(cell_at(high) + 1, count)};
  while (range.begin < range.end && !above(range.begin)) ++range.begin;
  while (range.begin < range.end && !below(range.end - 1)) --range.end;
  return range;
}

void mark_inside(std::span<const AnchorLevel> levels, const Objects& objects, int64_t image,
                 double smallest_side, std::span<uint8_t> marks) {
  const auto i = static_cast<size_t>(image);
  for (int64_t object = objects.first[i]; object < objects.first[i + 1]; ++object)
    if (objects.valid(object))
      for_each_row_inside(levels, search_box(objects.boxes[static_cast<size_t>(object)], smallest_side),
                          [&](const AnchorLevel& level, int64_t y, int64_t x_begin, int64_t x_end) {
                            const auto row = marks.begin() + level.first + y * level.width;
                            std::fill(row + x_begin, row + x_end, uint8_t{1});
                          });
}

}  // namespace marrow::loss
