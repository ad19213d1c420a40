// What of an outline lies inside an image.
#pragma once

#include <span>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/geometry/rotated_box.h"
#include "marrow/geometry/size.h"

namespace marrow::outline {

using PixelPoint = Point<ImagePixels>;

bool are_finite(std::span<const PixelPoint> points);

// The smallest box around the points. At least one point.
Box<ImagePixels> box_around(std::span<const PixelPoint> points);

// The box around that part of the polygon, whatever its form, which lies inside the picture: of its corners
// inside, its crossings of the borders, and the picture's corners inside it. Zeros where nothing is, or a
// number is not finite.
Box<ImagePixels> clipped_bounds(std::span<const PixelPoint> polygon, Size picture);

// Counter-clockwise where y points up, without points on its sides (Andrew 1979). All points are finite.
std::vector<PixelPoint> convex_hull(std::span<const PixelPoint> points);

// The part of the polygon inside the picture (Sutherland and Hodgman 1974), exact where it is convex; empty
// where nothing is.
std::vector<PixelPoint> clip_polygon(std::span<const PixelPoint> polygon, Size picture);

// Positive for one sense of going round it, negative for the other (the shoelace formula).
double signed_area(std::span<const PixelPoint> polygon);

}  // namespace marrow::outline
