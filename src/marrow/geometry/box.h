// Points and boxes whose type says in which space they lie, so that a box of the network's input is never
// taken for one of the image. The named functions convert between forms; to_image() in letterbox.h between
// spaces.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace marrow {

struct ImagePixels {};  // pixels of an image, from its upper left corner
struct InputPixels {};  // pixels of the network's input, likewise
struct Normalised {};   // shares of an image's width and height, 0..1

template <class Space, class T = float>
struct Point {
  T x = 0, y = 0;
  bool operator==(const Point&) const = default;
};

// A point that may be out of sight or not labelled at all.
template <class Space, class T = float>
struct Keypoint {
  T x = 0, y = 0;
  T visibility = 0;  // 0: not labelled, 1: labelled but hidden, 2: visible; files may have others
  bool operator==(const Keypoint&) const = default;
};

// By two corners: x1 <= x2, y1 <= y2.
template <class Space, class T = float>
struct Box {
  T x1 = 0, y1 = 0, x2 = 0, y2 = 0;

  static Box from_corners(const std::array<T, 4>& c) { return {c[0], c[1], c[2], c[3]}; }
  std::array<T, 4> corners() const { return {x1, y1, x2, y2}; }
  T width() const { return x2 - x1; }
  T height() const { return y2 - y1; }
  T area() const { return width() * height(); }
  bool operator==(const Box&) const = default;
};

// By its centre and size, as label files and the targets of training hold it.
template <class Space, class T = float>
struct CentredBox {
  T cx = 0, cy = 0, width = 0, height = 0;

  CentredBox<Space, float> in_single_precision() const {
    return {static_cast<float>(cx), static_cast<float>(cy), static_cast<float>(width),
            static_cast<float>(height)};
  }
  Box<Space, T> corner_form() const {
    return {cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2};
  }
  bool operator==(const CentredBox&) const = default;
};

// By its upper left corner and size, as COCO holds it.
template <class Space, class T = float>
struct SizedBox {
  T x = 0, y = 0, width = 0, height = 0;

  Box<Space, T> corner_form() const { return {x, y, x + width, y + height}; }
  T area() const { return width * height; }
  bool operator==(const SizedBox&) const = default;
};

template <class Space, class T>
bool is_finite(const Box<Space, T>& box) {
  return std::ranges::all_of(box.corners(), [](T coordinate) { return std::isfinite(coordinate); });
}

}  // namespace marrow
