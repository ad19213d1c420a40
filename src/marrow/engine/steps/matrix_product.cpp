#include "marrow/engine/steps/matrix_product.h"

#include <algorithm>

namespace marrow::engine {
namespace {

constexpr int64_t kBlockChannels = 512;

}  // namespace

void multiply(const Kernels& kernels, const OutputGroup& group, const MatrixProduct& product) {
  const int lanes = kernels.lanes;
  const auto& tiles = kernels.pointwise_tile[static_cast<size_t>(group.halves - 1)];
  const int64_t segments = (product.pixels + kernels.tile_pixels - 1) / kernels.tile_pixels;
  // Each tile asks for its share of the next weights, in whole lines.
  const int64_t lines = product.next == nullptr ? 0 : product.channels * group.width() / kLineFloats;
  const int64_t tile_channels = std::max<int64_t>(product.channels / kAheadChannels * segments, 1);
  int64_t asked = 0;
  PointwiseTileArgs args{};
  args.dst_block = product.dst_block;
  for (int64_t channel = 0; channel < product.channels; channel += kBlockChannels) {
    args.offsets = product.offsets + channel;
    args.channels = static_cast<int>(std::min(kBlockChannels, product.channels - channel));
    args.weights = product.weights + channel * group.width();
    args.bias = channel == 0 ? product.bias : nullptr;
    for (int64_t segment = 0; segment < segments; ++segment) {
      const int64_t begin = segment * product.pixels / segments;
      const int64_t pixels = (segment + 1) * product.pixels / segments - begin;
      args.src = product.src + begin * lanes;
      args.dst = product.dst + begin * lanes;
      args.ahead = product.next + asked * kLineFloats;
      args.ahead_lines = asked < lines ? static_cast<int>(lines / tile_channels + 1) : 0;
      asked += int64_t{args.ahead_lines} * (args.channels / kAheadChannels);
      tiles[static_cast<size_t>(pixels - 1)](args);
    }
  }
}

}  // namespace marrow::engine
