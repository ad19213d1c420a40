// One shape of the drawn dataset as it lies in its image, and what labels say of it.
#pragma once

#include <array>

#include "marrow/data/skeleton.h"
#include "marrow/data/tools/synth_shapes.h"
#include "marrow/geometry/box.h"

namespace marrow::data {

struct SynthPose {
  SynthShape shape = SynthShape::kDisc;
  double x = 0, y = 0, radius = 0;  // pixels
  double angle = 0;                 // radians, from x to y
  double stretch = 1;               // of the axis across the angle

  // The signed distance to the edge in pixels, negative inside.
  double distance(double px, double py) const;
  // Where a point of the unit shape lies in the image.
  Point<ImagePixels, double> at(double u, double v) const;
};

// The corners of the box around the shape that is turned as it is: about its own axes.
std::array<Point<ImagePixels, double>, 4> corners_of(const SynthPose& pose);

// Five: near the shape's upper, right, lower and left end, and its middle; as if it stood upright.
inline constexpr int kSynthKeypoints = 5;
std::array<Point<ImagePixels, double>, kSynthKeypoints> keypoints_of(const SynthPose& pose);
Skeleton synth_skeleton(size_t classes);

}  // namespace marrow::data
