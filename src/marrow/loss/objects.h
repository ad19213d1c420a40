// The objects of a batch, image by image.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/geometry/rotated_box.h"

namespace marrow::loss {

using BoxXyxy = std::array<float, 4>;  // x1, y1, x2, y2
using TurnedBox = RotatedBox<void, float>;

struct Objects {
  std::vector<int64_t> first;   // (N + 1): those of image i are [first[i], first[i + 1]), in the rows' order
  std::vector<int64_t> labels;  // one an object
  std::vector<BoxXyxy> boxes;   // pixels of the network's input; of turned objects none
  std::vector<TurnedBox> turned = {};  // the same of turned objects
  std::vector<int64_t> rows;           // that the objects are of, among the targets

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  // A box of zeros is none; nor is one that is not a number, or of a turned one whose numbers have no
  // positive sum.
  bool valid(int64_t object) const;
};

// rows: (T, 6) float32, in any order: image, class, cx, cy, w, h as fractions of an input of `width` x
// `height` pixels. Throws Error{kShape} for other shapes, and for an image or class that does not exist.
Objects group_objects(const Tensor& rows, int64_t images, int64_t classes, double width, double height);

// The same of turned objects: (T, 7), with the angle in radians behind the box. Those with a side below 2
// pixels are left out.
Objects group_turned_objects(const Tensor& rows, int64_t images, int64_t classes, double width,
                             double height);

// The same of regions, which have no class: (R, 5). An undefined tensor has none.
Objects group_regions(const Tensor& rows, int64_t images, double width, double height);

}  // namespace marrow::loss
