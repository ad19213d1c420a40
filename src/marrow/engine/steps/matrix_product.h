// Pixels times input channels times one group of output channels: the product in 1x1 convolutions and
// Winograd's algorithm.
#pragma once

#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/steps/output_groups.h"

namespace marrow::engine {

struct MatrixProduct {
  const float* src = nullptr;        // pixel 0
  const int64_t* offsets = nullptr;  // floats from src to each input channel
  int64_t channels = 0;              // of the input
  const float* weights = nullptr;    // [input channel][the group's width]
  const float* bias = nullptr;       // the group's width
  float* dst = nullptr;              // pixel 0 of the group's first block
  int64_t dst_block = 0;             // floats between output blocks
  int64_t pixels = 0;
  const float* next = nullptr;  // weights that are wanted next, as many; nullptr: none
};

// In tiles of nearly equal width, a block of input channels after the other so that their weights stay in the
// cache. Each number is one chain of multiply-adds in the order of the channels.
void multiply(const Kernels& kernels, const OutputGroup& group, const MatrixProduct& product);

}  // namespace marrow::engine
