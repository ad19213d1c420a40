// Where points of one grey picture are in the next: Lucas-Kanade on a pyramid of pictures.
//
// Window, levels, borders, limits and rounds are those of OpenCV's calcOpticalFlowPyrLK, whose module
// opencv_video is not linked: with what it brings along it would add to every start of a program, for this
// one function. Source: Bouguet, Pyramidal implementation of the affine Lucas Kanade feature tracker, 2001.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/image/image.h"

namespace marrow::track {

using FlowPoint = Point<ImagePixels>;

// A picture at several sizes, each half of the one before.
class FlowPyramid {
 public:
  static constexpr int kWindow = 21;  // pixels a side of what is compared
  static constexpr int kLevels = 4;   // at most; small pictures have fewer

  FlowPyramid() = default;
  // One channel of 8 bits, at least a pixel.
  explicit FlowPyramid(const image::Image& grey);

  struct Level {
    int width = 0, height = 0;
    size_t stride = 0;                          // of all three, with kWindow pixels more on every side
    std::vector<float> grey;                    // mirrored beyond the edges
    std::vector<float> gradient_x, gradient_y;  // a pixel; 0 beyond the edges

    size_t place(int x, int y) const {
      return static_cast<size_t>(y + kWindow) * stride + static_cast<size_t>(x + kWindow);
    }
  };
  const std::vector<Level>& levels() const { return levels_; }

 private:
  std::vector<Level> levels_;
};

// For each point of `before` where it is in `after`, which has the same size; nothing where the picture is
// flat around it or it left the picture.
std::vector<std::optional<FlowPoint>> follow_points(const FlowPyramid& before, const FlowPyramid& after,
                                                    std::span<const FlowPoint> points);

}  // namespace marrow::track
