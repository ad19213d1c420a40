// Fitting a picture into a network's input: resized in proportion, the rest grey; and the way back for boxes.
//
// Sizes are pixels. All rounding is half to even, in double precision, as in the reference implementation.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "marrow/image/image.h"

namespace marrow::detect {

struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};

constexpr uint8_t kLetterboxGrey = 114;

struct LetterboxOptions {
  bool minimum_rectangle = false;  // "auto": pad only up to the next multiple of the stride
  int stride = 32;
  bool scale_up = true;     // false: a small picture keeps its size
  bool scale_fill = false;  // stretch both sides to the target, pad nothing
  bool center = true;       // false: all padding goes below and to the right
  // A very thin picture would shrink to nothing; true keeps one pixel, false gives the reference's zero-sized
  // `resized`.
  bool keep_one_pixel = true;
};

// out.width = left + resized.width + right, and so for the height.
struct Letterbox {
  double ratio = 1.0;  // resized / original, before rounding; not with scale_fill
  Size resized;
  int top = 0;
  int bottom = 0;
  int left = 0;
  int right = 0;
  Size out;
};

// `picture` and `target` have at least one pixel, stride >= 1.
Letterbox letterbox_geometry(Size picture, Size target, const LetterboxOptions& options = {});

// The resized picture (bilinear, only where the size changes) on a ground of `fill`. `geometry` is of this
// image's size and its `resized` is not empty.
image::Image letterbox(const image::Image& image, const Letterbox& geometry, uint8_t fill = kLetterboxGrey);

using BoxXyxy = std::array<float, 4>;  // x1, y1, x2, y2

// How a picture went into the network's input, when it is known; ratio is that of the height.
struct RatioPad {
  double ratio = 1.0;
  double left = 0.0;
  double top = 0.0;
};

// Boxes in pixels of the network's input become boxes in pixels of the picture, clamped to it.
// Without `known`, the padding is derived from both sizes with an unrounded width, which in rare sizes
// differs by a pixel from what letterbox_geometry did; this is the reference's behaviour.
void scale_boxes(std::span<BoxXyxy> boxes, Size network, Size picture, const RatioPad* known = nullptr);

}  // namespace marrow::detect
