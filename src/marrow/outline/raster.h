// The pixels that outlines enclose.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/geometry/mask.h"
#include "marrow/geometry/size.h"

namespace marrow::outline {

// What the outline encloses by the even-odd rule, and its own line: points are cut off to whole pixels, as
// OpenCV's fillPoly has them. Points may lie outside; without any, or where one is not finite, nothing is
// inside.
Mask fill(std::span<const Point<ImagePixels>> points, Size picture);

// The same on a canvas `ratio` times smaller each way: filled at full size, then resized linearly, a byte of
// 0 or 1 each. `ratio` >= 1 and at most the canvas's shorter side.
Mask fill_small(std::span<const Point<ImagePixels>> points, Size canvas, int ratio);

// Adds (ors) to the mask what the outline encloses as OpenCV's drawContours has it.
void add_contour(std::span<const Point<ImagePixels>> points, Mask& mask);

// One picture of all: where masks lie over each other the smaller one is seen.
struct Overlapped {
  Size size;
  std::vector<int32_t> pixels;  // 0: background, i: number i - 1 in `order`
  // Masks by falling area; those of equal area as they came. One without any pixel counts as the largest.
  std::vector<size_t> order;
};

// Makes it of masks that come one by one, so that a picture of thousands needs no memory for each.
class OverlappingMasks {
 public:
  explicit OverlappingMasks(Size size);

  void add(const Mask& mask);  // of that size
  Overlapped take() &&;

 private:
  Size size_;
  std::vector<int32_t> seen_;  // 0, or 1 + the mask, in the order in which they came
  std::vector<uint64_t> areas_;
};

// The outer outlines of the mask's parts, in pixels; holes are lost. As OpenCV's findContours orders them.
std::vector<std::vector<Point<ImagePixels>>> parts_of(const Mask& mask);
// The same with the outlines of holes, whose pixels are those of the mask around them: filled together by the
// even-odd rule they are the mask again.
std::vector<std::vector<Point<ImagePixels>>> rings_of(const Mask& mask);

}  // namespace marrow::outline
