// A box that is turned about its centre. The axis of the width is (cos r, sin r), that of the
// height (-sin r, cos r): r turns x towards y, clockwise where y points down.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/geometry/box.h"

namespace marrow {

template <class Space, class T = float>
struct RotatedBox {
  T cx = 0, cy = 0, width = 0, height = 0;
  T angle = 0;  // radians

  // c + u + v, c + u - v, c - u - v, c - u + v with u half the width along its axis, v half the height.
  std::array<Point<Space, T>, 4> corners() const {
    const T ux = width / 2 * std::cos(angle), uy = width / 2 * std::sin(angle);
    const T vx = -height / 2 * std::sin(angle), vy = height / 2 * std::cos(angle);
    return {Point<Space, T>{cx + ux + vx, cy + uy + vy},
            {cx + ux - vx, cy + uy - vy},
            {cx - ux - vx, cy - uy - vy},
            {cx - ux + vx, cy - uy + vy}};
  }
  // The smallest upright box around it.
  Box<Space, T> bounds() const {
    const auto points = corners();
    Box<Space, T> box = {points[0].x, points[0].y, points[0].x, points[0].y};
    for (const auto& [x, y] : points)
      box = {std::min(box.x1, x), std::min(box.y1, y), std::max(box.x2, x), std::max(box.y2, y)};
    return box;
  }
  bool operator==(const RotatedBox&) const = default;
};

template <class Space, class T>
bool is_finite(const RotatedBox<Space, T>& box) {
  return std::isfinite(box.cx + box.cy + box.width + box.height + box.angle);
}

}  // namespace marrow
