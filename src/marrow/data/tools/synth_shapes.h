// The shapes of the drawn dataset, as distances.
#pragma once

#include <string_view>

namespace marrow::data {

enum class SynthShape { kDisc, kSquare, kTriangle, kStar, kRing, kCross };
inline constexpr int kSynthShapes = 6;
std::string_view synth_shape_name(SynthShape shape);

// The signed distance from a point to the edge of the shape of radius 1 about the origin, negative inside.
// Exact outside up to a factor below 2, and near the edge, which is all that antialiasing needs.
double shape_distance(SynthShape shape, double x, double y);

}  // namespace marrow::data
