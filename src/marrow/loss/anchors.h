// The cells of a detection head as points: one anchor a cell, at its centre. Anchors are numbered level by
// level, row by row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/loss/objects.h"

namespace marrow::loss {

struct AnchorLevel {
  int64_t height = 0, width = 0;  // cells
  int stride = 1;                 // input pixels a cell
  int64_t first = 0;              // the number of its first anchor

  int64_t size() const { return height * width; }
};

int64_t anchor_count(std::span<const AnchorLevel> levels);
const AnchorLevel& level_of(std::span<const AnchorLevel> levels, int64_t anchor);

struct CellOfAnchor {
  size_t level = 0;
  int64_t cell = 0;
  double x = 0, y = 0;  // its centre, in cells
  int stride = 1;
};
CellOfAnchor cell_of(std::span<const AnchorLevel> levels, int64_t anchor);

// Of the input, in pixels.
double width_of(std::span<const AnchorLevel> levels);
double height_of(std::span<const AnchorLevel> levels);

// Calls function(level, y, x_begin, x_end) for every row of anchors that lie strictly inside the box, in
// their order.
template <class Function>
void for_each_row_inside(std::span<const AnchorLevel> levels, const BoxXyxy& box, const Function& function);

// Where anchors inside an object are looked for: a side that is shorter than `smallest_side` is so long,
// about its middle.
BoxXyxy search_box(const BoxXyxy& box, double smallest_side);

// Sets marks[anchor] of every anchor inside a valid object of the image.
void mark_inside(std::span<const AnchorLevel> levels, const Objects& objects, int64_t image,
                 double smallest_side, std::span<uint8_t> marks);

// The cells [begin, end) of `count` in a row whose centres lie strictly between `low` and `high`, pixels.
struct CellRange {
  int64_t begin = 0, end = 0;
};
CellRange cells_between(float low, float high, int stride, int64_t count);

template <class Function>
void for_each_row_inside(std::span<const AnchorLevel> levels, const BoxXyxy& box, const Function& function) {
  for (const AnchorLevel& level : levels) {
    const CellRange x = cells_between(box[0], box[2], level.stride, level.width);
    const CellRange y = cells_between(box[1], box[3], level.stride, level.height);
    if (x.begin < x.end)
      for (int64_t row = y.begin; row < y.end; ++row) function(level, row, x.begin, x.end);
  }
}

}  // namespace marrow::loss
