// A map of a network's output, or its gradient, as the losses see it: wherever an executor keeps it.
#pragma once

#include <cstdint>

#include "marrow/base/tensor.h"

namespace marrow::loss {

// (N, C, H, W) in blocks of `lanes` channels: [image][block][y][x][lane]. With 1 lane that is NCHW.
template <class T>
struct MapView {
  T* data = nullptr;  // the first channel of the first image; it begins a block
  int64_t images = 0, channels = 0, height = 0, width = 0;
  int64_t lanes = 1;
  int64_t image_step = 0;  // numbers between images

  Shape shape() const { return {images, channels, height, width}; }
  int64_t pixels() const { return height * width; }
  // The number at pixel 0; those of one channel are `lanes` apart.
  T* channel(int64_t image, int64_t c) const {
    return data + image * image_step + c / lanes * lanes * pixels() + c % lanes;
  }
};

}  // namespace marrow::loss
