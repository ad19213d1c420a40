// Rectangular batches for validation: images of like shape share a batch, which is padded only as far as
// the batch needs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "marrow/geometry/letterbox.h"

namespace marrow {

// An image as the validation loader resizes it before letterboxing: the longer side becomes `image_size`,
// also upwards; the other one is rounded up.
Size validation_size(Size picture, int image_size);

struct RectBatches {
  std::vector<size_t> order;      // indices of the images, by rising height / width; equals keep their order
  std::vector<Size> batch_sizes;  // of the network's input; batch b holds order[b * batch ... ]
};

// pad: 0.5 in validation, 0 in training. All images have at least one pixel; batch, stride >= 1.
RectBatches rect_batches(std::span<const Size> pictures, int batch, int image_size, int stride, double pad);

// Where an image lies in its batch, and what to_image needs for the way back.
struct RectPlacement {
  Size loaded;                                   // validation_size
  Letterbox letterbox;                           // of `loaded` in the batch's size, never enlarged
  double ratio_height = 1.0, ratio_width = 1.0;  // loaded / original

  // 8.3 takes the height's factor for both sides.
  RatioPad ratio_pad(Rules rules = kDefaultRules) const {
    return {rules == Rules::k84 ? ratio_width : ratio_height, ratio_height,
            static_cast<double>(letterbox.left), static_cast<double>(letterbox.top)};
  }
};
RectPlacement rect_placement(Size picture, int image_size, Size batch_size);

}  // namespace marrow
