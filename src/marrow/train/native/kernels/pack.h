// Weights in the order in which the kernels read them, packed anew after every update.
//
// Weights lie as files hold them, [output][input][tap] with the taps row by row. Lanes of a map need not be
// channels in their order: shuffles, slices and spare lanes are lists of the channel at each lane.
#pragma once

#include <cstdint>
#include <span>

#include "marrow/train/native/kernels/kernels.h"

namespace marrow::train::native {

// A lane without a channel, whose weights are zeros.
constexpr int kNoChannel = -1;

// The weights of a product. Forward it makes outputs from inputs:
//   output_step = inputs * taps of a kernel, input_step = taps of a kernel
// The gradient of the data makes inputs from outputs: here outputs are the convolution's inputs, and both
// steps change places.
struct PackArgs {
  const float* weights;
  int64_t output_step, input_step;  // floats between channels
  std::span<const int> outputs;     // the channel at each lane of the result, whole blocks
  std::span<const int> inputs;      // the channel at each lane that counts, blocks of block_channels
  int block_channels;               // as in MultiplyArgs
  std::span<const int> taps;        // of the kernel, in the order of MultiplyArgs::taps
  bool pairs = false;               // for multiply_pairs: block_channels is even
};

// Floats of the packed weights, and of a group of `blocks` blocks of outputs.
int64_t packed_size(const PackArgs& args);
int64_t packed_group_size(const PackArgs& args, int blocks, const Kernels& kernels);

// dst: [group][block][tap][lane][vectors of the group], as MultiplyArgs says; of pairs, two lanes in one.
void pack_weights(const PackArgs& args, const Kernels& kernels, float* dst);

// Winograd's products (kernels/winograd_points.h), each of which is a matrix that multiply reads with one
// tap.
//   dst: [group][36][lane of the inputs][vectors of the group]
// 9 taps: 0 to 8 forward, 8 to 0 for the gradient of the data. dst holds 4 times packed_size(args).
void pack_winograd_weights(const PackArgs& args, const Kernels& kernels, float* dst);

// Of a depthwise convolution, whose weights are [channel][tap of a kernel].
//   dst[block][tap][lane] = weights[channels[block * lanes + lane] * channel_step + taps[tap]]
void pack_lane_weights(const float* weights, int64_t channel_step, std::span<const int> channels,
                       std::span<const int> taps, const Kernels& kernels, float* dst);

}  // namespace marrow::train::native
