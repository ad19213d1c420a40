// What the masks of one image's foreground add to the loss.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/loss/map_view.h"

namespace marrow::loss {

// One image's prototypes, as rows (masks, height * width), at the size of the targets' masks.
template <class T>
struct PlanarPrototypes {
  int64_t count = 0, height = 0, width = 0;
  std::vector<T> values;
  std::vector<T> gradient;  // the same; empty: none
};

// Of a map, resized linearly (half-pixel centres) where the size is another one.
template <class T>
PlanarPrototypes<T> planar(const MapView<const T>& map, int64_t image, int64_t height, int64_t width,
                           bool with_gradient);
// Writes the gradient of the map, through the resizing.
template <class T>
void write_gradient(const PlanarPrototypes<T>& prototypes, const MapView<T>& map, int64_t image);

// The object's mask, a target a pixel.
struct ObjectMask {
  const Tensor* masks = nullptr;  // (images or objects, height, width), uint8 or int32
  int64_t plane = 0;
  int64_t wanted = 0;  // the number that stands for the object; 0: every number but 0
};

// Where one object's masks are judged: pixels x1 <= column < x2, y1 <= row < y2, and the box's share of the
// image, by which the sum is divided.
struct MaskRegion {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // pixels of the masks
  double share = 1;
};

// Returns the mean over all pixels of the cross entropies inside the region, over its share, or 0 where no
// pixel is inside; adds `scale` times its gradients to the coefficients' and the prototypes'.
template <class T>
double mask_term(PlanarPrototypes<T>& prototypes, std::span<const double> coefficients,
                 const ObjectMask& mask, const MaskRegion& region, double scale,
                 std::span<double> coefficient_gradient);

}  // namespace marrow::loss
