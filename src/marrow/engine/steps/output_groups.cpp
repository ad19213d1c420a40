#include "marrow/engine/steps/output_groups.h"

#include <algorithm>

namespace marrow::engine {

std::vector<OutputGroup> group_outputs(int channels, const Kernels& kernels) {
  const int lanes = kernels.lanes;
  const int half = lanes / 2;
  int left = kernels.half_blocks ? (channels + half - 1) / half : (channels + lanes - 1) / lanes * 2;
  std::vector<OutputGroup> groups;
  int64_t block = 0;
  while (left > 0) {
    // 5 halves become 2 and 3, not 4 and 1.
    const int halves = left == kMaxTileHalves + 1 ? 2 : std::min(left, kMaxTileHalves);
    groups.push_back({block, halves, lanes});
    block += halves / 2;
    left -= halves;
  }
  return groups;
}

Tensor pack_bias(std::span<const OutputGroup> groups, std::span<const float> bias) {
  int64_t floats = 0;
  for (const OutputGroup& group : groups) floats += group.width();
  Tensor packed({floats});
  if (bias.empty()) return packed;
  float* at = packed.values().data();
  for (const OutputGroup& group : groups)
    for (int64_t slot = 0; slot < group.width(); ++slot, ++at) {
      const auto channel = static_cast<size_t>(group.channel(slot));
      if (channel < bias.size()) *at = bias[channel];
    }
  return packed;
}

}  // namespace marrow::engine
