// Fitting an image into a network's input: resized in proportion, the rest grey; and the way back for boxes.
//
// Sizes are pixels. All rounding is half to even, in double precision, as in the reference implementation.
#pragma once

#include <cstdint>

#include "marrow/base/rules.h"
#include "marrow/geometry/box.h"
#include "marrow/geometry/rotated_box.h"
#include "marrow/geometry/size.h"

namespace marrow {

constexpr uint8_t kLetterboxGrey = 114;

struct LetterboxOptions {
  bool minimum_rectangle = false;  // "auto": pad only up to the next multiple of the stride
  int stride = 32;
  bool scale_up = true;     // false: a small image keeps its size
  bool scale_fill = false;  // stretch both sides to the target, pad nothing
  bool center = true;       // false: all padding goes below and to the right
  // A very thin image would shrink to nothing; true keeps one pixel, false gives the reference's zero-sized
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

// `image` and `target` have at least one pixel, stride >= 1.
Letterbox letterbox_geometry(Size picture, Size target, const LetterboxOptions& options = {});

// How an image went into the network's input: the factor of each side, then the padding.
struct RatioPad {
  double ratio_x = 1.0, ratio_y = 1.0;
  double left = 0.0;
  double top = 0.0;
};

// Where only the sizes are known. 8.4: each side's own factor, with its rounded length. 8.3: one factor for
// both, and a padding derived with an unrounded width, which in rare sizes differs by a pixel from what
// letterbox_geometry did.
RatioPad assumed_ratio_pad(Size network, Size image, Rules rules = kDefaultRules);

// In pixels of the image, clamped to it.
Box<ImagePixels> to_image(const Box<InputPixels>& box, const RatioPad& ratio_pad, Size image);
Point<ImagePixels> to_image(const Point<InputPixels>& point, const RatioPad& ratio_pad, Size image);
// Not clamped; the width by the factor of x, the height by that of y.
RotatedBox<ImagePixels> to_image(const RotatedBox<InputPixels>& box, const RatioPad& ratio_pad);

}  // namespace marrow
