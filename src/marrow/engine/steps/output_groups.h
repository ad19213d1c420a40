// How the output channels of a dense convolution are cut for its register tiles (kernels/tile-inl.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/engine/kernels/kernels.h"

namespace marrow::engine {

// Up to two blocks of output channels, computed together.
struct OutputGroup {
  int64_t first_block = 0;
  int halves = 0;  // half blocks: the index of the tile, less one
  int lanes = 0;   // of a block

  int vectors() const { return (halves + 1) / 2; }
  int64_t width() const { return int64_t{vectors()} * lanes; }  // floats of weights an input channel
  // The output channel whose weight stands at `slot` of the width; those of a half block stand twice.
  int64_t channel(int64_t slot) const {
    const bool in_half = halves % 2 == 1 && slot >= width() - lanes;
    return first_block * lanes + (in_half ? width() - lanes + slot % (lanes / 2) : slot);
  }
};

// In the order of the channels. Tiles of nearly equal width are fastest, so a half block is not left alone
// where it can have a neighbour. Where half blocks gain nothing, all are whole.
std::vector<OutputGroup> group_outputs(int channels, const Kernels& kernels);

// Adds weight(output, c) to packed[c][slot], for the group's slots that hold one of `outputs` outputs.
template <class Weight>
void pack_weights(const OutputGroup& group, int64_t outputs, int64_t channels, const Weight& weight,
                  float* packed) {
  constexpr int64_t kTogether = 64;  // channels: what is written stays in the first-level cache
  for (int64_t first = 0; first < channels; first += kTogether)
    for (int64_t slot = 0; slot < group.width(); ++slot) {
      const int64_t output = group.channel(slot);
      if (output >= outputs) continue;
      for (int64_t c = first; c < std::min(first + kTogether, channels); ++c)
        packed[c * group.width() + slot] += weight(output, c);
    }
}

// `bias`, or zeros where it is empty, as the tiles read it: the groups' widths one after the other.
Tensor pack_bias(std::span<const OutputGroup> groups, std::span<const float> bias);

}  // namespace marrow::engine
