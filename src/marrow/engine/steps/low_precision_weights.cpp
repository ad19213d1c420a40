#include "marrow/engine/steps/low_precision_weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "marrow/graph/byte_scale.h"

namespace marrow::engine {
namespace {

class Packer {
 public:
  Packer(const ConvDescription& conv, int vectors)
      : conv_(conv),
        element_(conv.src.element),
        lanes_(conv.kernels->lanes),
        widened_(conv.kernels->low_precision(element_).widen != nullptr),
        channels_(widened_ ? 2 : dword_channels(element_)),
        area_(int64_t{conv.kernel} * conv.kernel),
        vectors_(vectors),
        out_blocks_(conv.dst.blocks(lanes_)),
        rest_dwords_((conv.src.channels - (conv.src.blocks(lanes_) - 1) * lanes_ + channels_ - 1) /
                     channels_) {}

  LowPrecisionWeights run() {
    const int64_t groups = (out_blocks_ + vectors_ - 1) / vectors_;
    const int64_t outputs = groups * vectors_ * lanes_;
    const int64_t dwords = (conv_.src.blocks(lanes_) - 1) * (lanes_ / channels_) + rest_dwords_;
    packed_.last_dwords = static_cast<int>(widened_ ? dwords : rest_dwords_);
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
  void pack(int64_t group, int64_t output, int64_t column) {
    const auto count = static_cast<size_t>(conv_.src.channels * area_);
    const std::span<const float> row = conv_.weight.subspan(static_cast<size_t>(output) * count, count);
    const auto out = static_cast<size_t>(output);
    if (element_ == Element::kBfloat16) {
      std::vector<uint16_t> numbers(count);
      conv_.kernels->bfloat16.from_float32(row.data(), {}, numbers.data(), static_cast<int64_t>(count));
      place(group, column, numbers);
      return;
    }
    const float scale = weight_scale(row);
    std::vector<int8_t> numbers(count);
    int32_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      numbers[i] = weight_byte(row[i], scale);
      sum += numbers[i];
    }
    if (widened_)
      place(group, column, std::vector<int16_t>(numbers.begin(), numbers.end()));
    else
      place(group, column, numbers);
    packed_.start.values<int32_t>()[out] = -conv_.src.scale.zero_point * sum;
    packed_.scale.values()[out] = conv_.src.scale.scale * scale;
  }

  // Weights of one output, [channel][tap], to column `column` of its group.
  template <class Number>
  void place(int64_t group, int64_t column, const std::vector<Number>& weights) {
    constexpr int64_t kChannels = int64_t{4 / sizeof(Number)};
    const int64_t blocks = conv_.src.blocks(lanes_);
    const int64_t width = std::min<int64_t>(vectors_, out_blocks_ - group * vectors_) * lanes_;
    uint8_t* at = packed_.weights.values<uint8_t>().data() + group * packed_.group_bytes + 4 * column;
    const auto put = [&](int64_t block, int64_t tap) {
      const int64_t dwords = block + 1 == blocks ? rest_dwords_ : lanes_ / kChannels;
      const int64_t first = block * lanes_;
      for (int64_t dword = 0; dword < dwords; ++dword, at += 4 * width) {
        Number together[kChannels] = {};
        for (int64_t i = 0; i < kChannels; ++i)
          if (const int64_t channel = first + dword * kChannels + i; channel < conv_.src.channels)
            together[i] = weights[static_cast<size_t>(channel * area_ + tap)];
        std::memcpy(at, together, 4);
      }
    };
    if (widened_)
      for (int64_t tap = 0; tap < area_; ++tap)
        for (int64_t block = 0; block < blocks; ++block) put(block, tap);
    else
      for (int64_t block = 0; block < blocks; ++block)
        for (int64_t tap = 0; tap < area_; ++tap) put(block, tap);
  }

  const ConvDescription& conv_;
  const Element element_;
  const int lanes_;
  const bool widened_;
  const int channels_;  // of a dword
  const int64_t area_;
  const int vectors_;
  const int64_t out_blocks_;
  const int64_t rest_dwords_;  // of the last block
  LowPrecisionWeights packed_;
};

}  // namespace

LowPrecisionWeights pack_low_precision_weights(const ConvDescription& conv, int vectors) {
  return Packer(conv, vectors).run();
}

}  // namespace marrow::engine
