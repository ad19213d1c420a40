// Turned boxes around outlines.
#pragma once

#include <span>
#include <vector>

#include "marrow/geometry/rotated_box.h"
#include "marrow/geometry/size.h"

namespace marrow::outline {

// The box of least area around the points, the longer side as its width, the angle in [-pi/4, 3 pi/4). Of a
// square, or where two boxes are equally small, rounding decides. Zeros without points, and where one is not
// finite.
RotatedBox<ImagePixels> turned_box(std::span<const Point<ImagePixels>> points);

// An outline that stands for a turned box, cut at the picture's border: one inside stays. Of another the
// part inside (of its convex hull) is enclosed by a box of the whole outline's angle, which may then reach
// outside again, and `bounds` becomes the upright box around that part. Zeros where no area is inside.
void clip_turned(std::vector<Point<ImagePixels>>& points, Box<ImagePixels>& bounds, Size picture);

}  // namespace marrow::outline
