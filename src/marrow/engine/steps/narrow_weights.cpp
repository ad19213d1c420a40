#include "engine/steps/narrow_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace marrow {
namespace {

class Packer {
 public:
  Packer(const ConvDescription& conv, int vectors)
      : conv_(conv),
        element_(conv.src.element),
        lanes_(conv.kernels->lanes),
        channels_(dword_channels(element_)),
        area_(int64_t{conv.kernel} * conv.kernel),
        vectors_(vectors),
        out_blocks_(conv.dst.blocks(lanes_)),
        rest_dwords_((conv.src.channels - (conv.src.blocks(lanes_) - 1) * lanes_ + channels_ - 1) /
                     channels_) {}

  NarrowWeights run() {
    const int64_t groups = (out_blocks_ + vectors_ - 1) / vectors_;
    const int64_t outputs = groups * vectors_ * lanes_;
    const int64_t dwords = (conv_.src.blocks(lanes_) - 1) * (lanes_ / channels_) + rest_dwords_;
    packed_.last_dwords = static_cast<int>(rest_dwords_);
    packed_.group_bytes = area_ * dwords * 4 * vectors_ * lanes_;
    packed_.weights = Tensor({groups * packed_.group_bytes}, DType::kUInt8);
    packed_.start = Tensor({outputs}, DType::kInt32);
    packed_.scale = Tensor({outputs});
    packed_.bias = Tensor({outputs});
    std::ranges::copy(conv_.bias, packed_.bias.values().begin());
    conv_.pool->parallel_for(groups, [&](int64_t group, int) {
      const int64_t first = group * vectors_ * lanes_;
      const int64_t end = std::min<int64_t>(first + vectors_ * lanes_, conv_.dst.channels);
      for (int64_t output = first; output < end; ++output) pack(group, output, output - first);
    });
    return std::move(packed_);
  }

 private:
  // Where the weight of an output, an input channel and a tap stands.
  int64_t place(int64_t group, int64_t column, int64_t channel, int64_t tap) const {
    const int64_t block = channel / lanes_;
    const int64_t whole = lanes_ / channels_;
    const int64_t dwords = block + 1 == conv_.src.blocks(lanes_) ? rest_dwords_ : whole;
    const int64_t dword = block * area_ * whole + tap * dwords + channel % lanes_ / channels_;
    const int64_t width = std::min<int64_t>(vectors_, out_blocks_ - group * vectors_) * lanes_;
    return group * packed_.group_bytes + 4 * (dword * width + column) +
           channel % channels_ * element_bytes(element_);
  }

  void pack(int64_t group, int64_t output, int64_t column) {
    const std::span<const float> row =
        conv_.weight.subspan(static_cast<size_t>(output * conv_.src.channels * area_),
                             static_cast<size_t>(conv_.src.channels * area_));
    float largest = 0;
    for (const float weight : row) largest = std::max(largest, std::abs(weight));
    const float scale = largest > 0 ? largest / 127 : 1;
    const NarrowKernels& to_half = kernels_of(SimdLevel::kPlain).bfloat16;
    int32_t sum = 0;
    uint8_t* bytes = packed_.weights.values<uint8_t>().data();
    for (int64_t channel = 0; channel < conv_.src.channels; ++channel)
      for (int64_t tap = 0; tap < area_; ++tap) {
        const float weight = row[static_cast<size_t>(channel * area_ + tap)];
        uint8_t* at = bytes + place(group, column, channel, tap);
        if (element_ == Element::kByte) {
          const auto q = static_cast<int8_t>(std::clamp(std::nearbyint(weight / scale), -127.f, 127.f));
          sum += q;
          *at = static_cast<uint8_t>(q);
        } else {
          to_half.narrow(&weight, {}, at, 1);
        }
      }
    packed_.start.values<int32_t>()[static_cast<size_t>(output)] = -conv_.src.scale.zero_point * sum;
    packed_.scale.values()[static_cast<size_t>(output)] = conv_.src.scale.scale * scale;
  }

  const ConvDescription& conv_;
  const Element element_;
  const int lanes_;
  const int channels_;
  const int64_t area_;
  const int vectors_;
  const int64_t out_blocks_;
  const int64_t rest_dwords_;  // of the last block
  NarrowWeights packed_;
};

}  // namespace

NarrowWeights pack_narrow_weights(const ConvDescription& conv, int vectors) {
  return Packer(conv, vectors).run();
}

}  // namespace marrow
