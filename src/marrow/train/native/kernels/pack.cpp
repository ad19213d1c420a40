#include "marrow/train/native/kernels/pack.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "marrow/engine/kernels/winograd_points.h"

namespace marrow::train::native {
namespace {

constexpr int kMostWidth = 64;  // floats of a group: four vectors of AVX-512

// The outputs of a group, for one input and tap after another.
class GroupOutputs {
 public:
  GroupOutputs(const PackArgs& args, int64_t first, int width) : width_(width) {
    assert(width <= kMostWidth);
    for (int i = 0; i < width; ++i) {
      const int channel = args.outputs[static_cast<size_t>(first + i)];
      offsets_[static_cast<size_t>(i)] = channel == kNoChannel ? kNone : channel * args.output_step;
      consecutive_ =
          consecutive_ && channel != kNoChannel && offsets_[static_cast<size_t>(i)] == offsets_[0] + i;
    }
  }

  int width() const { return width_; }

  // weights: of that input and tap, for output 0; nullptr: zeros.
  void copy(const float* weights, float* dst) const {
    if (weights == nullptr) {
      std::fill_n(dst, width_, 0.0f);
    } else if (consecutive_) {
      std::copy_n(weights + offsets_[0], width_, dst);
    } else {
      for (int i = 0; i < width_; ++i) {
        const int64_t offset = offsets_[static_cast<size_t>(i)];
        dst[i] = offset == kNone ? 0.0f : weights[offset];
      }
    }
  }

 private:
  static constexpr int64_t kNone = -1;

  int width_;
  bool consecutive_ = true;
  std::array<int64_t, kMostWidth> offsets_;
};

// Of an input and a tap, for output 0.
const float* weights_of(const PackArgs& args, size_t input, size_t tap) {
  const int channel = args.inputs[input];
  return channel == kNoChannel ? nullptr : args.weights + channel * args.input_step + args.taps[tap];
}

template <class Pack>
void each_group(const PackArgs& args, const Kernels& kernels, const Pack& pack) {
  const auto blocks = static_cast<int>(args.outputs.size()) / kernels.lanes;
  for (int first = 0; first < blocks;) {
    const int group = next_group(blocks - first, kernels.output_group);
    pack(GroupOutputs(args, int64_t{first} * kernels.lanes, group * kernels.lanes));
    first += group;
  }
}

void pack_pairs(const PackArgs& args, const Kernels& kernels, float* dst) {
  const auto channels = static_cast<size_t>(args.block_channels);
  assert(channels % 2 == 0);
  std::array<float, 2 * kMostWidth> both;
  each_group(args, kernels, [&](const GroupOutputs& group) {
    const int width = group.width();
    for (size_t block = 0; block < args.inputs.size(); block += channels)
      for (size_t tap = 0; tap < args.taps.size(); ++tap)
        for (size_t lane = 0; lane < channels; lane += 2, dst += width) {
          for (size_t i = 0; i < 2; ++i)
            group.copy(weights_of(args, block + lane + i, tap), both.data() + i * kMostWidth);
          for (int i = 0; i < width; i += kernels.lanes)
            kernels.pair_pixels({both.data() + i, kMostWidth, dst + i, 2});
        }
  });
}

}  // namespace

int64_t packed_size(const PackArgs& args) {
  return static_cast<int64_t>(args.outputs.size() * args.inputs.size() * args.taps.size()) /
         (args.pairs ? 2 : 1);
}

int64_t packed_group_size(const PackArgs& args, int blocks, const Kernels& kernels) {
  return blocks * kernels.lanes * static_cast<int64_t>(args.inputs.size() * args.taps.size()) /
         (args.pairs ? 2 : 1);
}

void pack_weights(const PackArgs& args, const Kernels& kernels, float* dst) {
  if (args.pairs) return pack_pairs(args, kernels, dst);
  const auto channels = static_cast<size_t>(args.block_channels);
  each_group(args, kernels, [&](const GroupOutputs& group) {
    for (size_t block = 0; block < args.inputs.size(); block += channels)
      for (size_t tap = 0; tap < args.taps.size(); ++tap)
        for (size_t lane = 0; lane < channels; ++lane, dst += group.width())
          group.copy(weights_of(args, block + lane, tap), dst);
  });
}

void pack_winograd_weights(const PackArgs& args, const Kernels& kernels, float* dst) {
  constexpr size_t kTaps = 9, kTogether = 8;  // inputs: what is copied stays in the first-level cache
  constexpr int64_t kProducts = engine::winograd::Unit::kProducts * engine::winograd::Unit::kProducts;
  assert(args.taps.size() == kTaps);
  alignas(64) std::array<float, kTaps * kTogether * kMostWidth> taps;
  const size_t inputs = args.inputs.size();
  each_group(args, kernels, [&](const GroupOutputs& group) {
    const int64_t matrix = static_cast<int64_t>(inputs) * group.width();
    for (size_t first = 0; first < inputs; first += kTogether) {
      const size_t count = std::min(kTogether, inputs - first);
      float* to = taps.data();
      for (size_t tap = 0; tap < kTaps; ++tap)
        for (size_t i = 0; i < count; ++i, to += group.width())
          group.copy(weights_of(args, first + i, tap), to);
      const int64_t run = static_cast<int64_t>(count) * group.width();
      kernels.winograd_weights(
          {taps.data(), run, dst + static_cast<int64_t>(first) * group.width(), matrix, run});
    }
    dst += kProducts * matrix;
  });
}

void pack_lane_weights(const float* weights, int64_t channel_step, std::span<const int> channels,
                       std::span<const int> taps, const Kernels& kernels, float* dst) {
  const auto lanes = static_cast<size_t>(kernels.lanes);
  for (size_t block = 0; block < channels.size(); block += lanes)
    for (const int tap : taps)
      for (size_t lane = 0; lane < lanes; ++lane, ++dst) {
        const int channel = channels[block + lane];
        *dst = channel == kNoChannel ? 0.0f : weights[channel * channel_step + tap];
      }
}

}  // namespace marrow::train::native
