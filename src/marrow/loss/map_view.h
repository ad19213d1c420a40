// A map of a network's output, or its gradient, as the losses see it: wherever an executor keeps it.
#pragma once

#include <algorithm>
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

// Sets every channel of an image's map; lanes beyond the last channel are left alone.
template <class T>
void fill_with_zeros(const MapView<T>& map, int64_t image) {
  const int64_t whole = map.channels / map.lanes * map.lanes;
  std::fill_n(map.channel(image, 0), whole * map.pixels(), T{0});
  for (int64_t c = whole; c < map.channels; ++c)
    for (int64_t pixel = 0; pixel < map.pixels(); ++pixel) map.channel(image, c)[pixel * map.lanes] = 0;
}

}  // namespace marrow::loss
