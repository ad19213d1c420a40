// Outlines of several parts.
#pragma once

#include <span>
#include <vector>

#include "marrow/data/labels.h"

namespace marrow::data {

// The parts of an outline, one or more; views of it.
std::vector<std::span<const Point<Normalised, double>>> parts_of(const Polygon& polygon,
                                                                 const PartStarts& starts);
// Those of a label's. The image has outlines.
std::vector<std::span<const Point<Normalised, double>>> parts_of(const ImageLabels& image, size_t label);

// A coordinate in pixels, rounded to a millionth, so that what was written with decimals is that number
// again.
double exact_pixels(double share, int side);

// One outline of all parts of a label's, by bridges of no width, the shortest in pixels. Where looking for
// the shortest bridges takes too long (parts of tens of thousands of points, which no person drew), of the
// part with the most points.
inline constexpr size_t kMostPairs = size_t{1} << 28;  // of points that are compared
Polygon joined_parts(const LabelledImage& image, size_t label);

}  // namespace marrow::data
