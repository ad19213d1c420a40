// The turn, scale and shift that most pairs of points agree on.
#pragma once

#include <optional>
#include <span>

#include "marrow/track/kalman.h"
#include "marrow/track/optical_flow.h"

namespace marrow::track {

// A map of four degrees of freedom (x' = a x - b y + c, y' = b x + a y + d) from points to their partners:
// that of two pairs which most others agree with, to 3 pixels, fitted again to those by least squares. As
// many random pairs are tried as are needed to be 99 % sure, 2000 at most; always the same ones. Nothing
// where no two points differ. Source: RANSAC, Fischler and Bolles 1981.
std::optional<CameraMap> common_similarity(std::span<const FlowPoint> from, std::span<const FlowPoint> to);

}  // namespace marrow::track
