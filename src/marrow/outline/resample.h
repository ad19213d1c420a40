// Outlines of as many points as wanted: those of one image, or of several that are joined, all get the same
// number.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "marrow/geometry/box.h"

namespace marrow::outline {

// `count` >= 1 points along the closed outline, which has at least one. An outline of as many is returned as
// it is. Of fewer: all of its points, doubled here and there, and points at even numbers of them between.
// Of more: points at even numbers, so that corners are lost.
template <class Space>
std::vector<Point<Space>> resampled(std::span<const Point<Space>> points, size_t count);

// How many points each of `outlines` outlines gets, the longest of which has `longest`: `usual`, or one more
// than the longest where that has more. Fewer where all together would have more than kMostPoints: a file of
// one outline of a million points and many small ones must not take the memory for millions of each.
inline constexpr size_t kMostPoints = size_t{1} << 22;
size_t common_count(size_t outlines, size_t longest, size_t usual);

}  // namespace marrow::outline
