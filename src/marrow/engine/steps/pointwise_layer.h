// What the steps of 1x1 convolutions of stride 1 share: where their input channels lie, which may be in
// several maps and in any order, so that concatenations, slices and channel shuffles before them cost
// nothing; and their weights, in the order of the memory.
#pragma once

#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/output_groups.h"

namespace marrow::engine {

struct PointwiseLayer {
  explicit PointwiseLayer(const ConvDescription& conv);

  // The places in the arena of an image's input channels.
  const int64_t* offsets_of(int64_t image) const { return offsets.data() + image * channels; }
  // Of a group, from a channel on: [channel][the group's width].
  const float* weights_of(size_t group, int64_t channel) const {
    return weights.values().data() + weights_at[group] + channel * groups[group].width();
  }
  const float* bias_of(size_t group) const { return bias.values().data() + bias_at[group]; }

  int64_t channels = 0;  // of the input
  std::vector<OutputGroup> groups;
  std::vector<int64_t> offsets;              // [image][channel]
  std::vector<int64_t> weights_at, bias_at;  // of each group
  Tensor weights, bias;                      // weights: [group][channel][width]
};

}  // namespace marrow::engine
