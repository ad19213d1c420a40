// multi_scale: every batch of a detector at a size of its own.
#pragma once

#include <cstdint>

#include "marrow/base/tensor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/geometry/input_format.h"

namespace marrow::train {

// The side, a multiple of `stride`, that a batch is resized to; `share` less or more than `image_size`.
int draw_image_size(int image_size, double share, int stride, uint64_t seed, int64_t epoch, int64_t batch);

// Samples (N, C, H, W) resized so that the longer side becomes `size`, each side a multiple of `stride`;
// bilinear between the middles of pixels, not antialiased. What comes out is ready for the network, in
// float32; a batch that has the size already stays as it is, in bytes.
Tensor resize_batch(const Tensor& images, const InputFormat& format, int size, int stride,
                    cpu::ThreadPool& threads);

}  // namespace marrow::train
