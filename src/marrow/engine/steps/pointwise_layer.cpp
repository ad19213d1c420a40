#include "marrow/engine/steps/pointwise_layer.h"

#include <algorithm>
#include <utility>

namespace marrow::engine {
namespace {

// An input channel: its place in the arena for image 0, and its column of the weights.
struct Source {
  int map, channel;
  int64_t offset;
  int64_t image_stride;
  int64_t column;
};

// In the order of the memory of each map, whatever the order of the weights' columns. Where the maps lie
// decides nothing: the memory plan may depend on the number of threads, and the order of sums must not.
std::vector<Source> find_sources(const ConvDescription& conv) {
  const int lanes = conv.kernels->lanes;
  std::vector<Source> sources;
  const auto add = [&](const View& view, int map, int channel) {
    sources.push_back({map, channel,
                       view.buffer.offset + channel / lanes * view.block_floats(lanes) + channel % lanes,
                       view.image_stride, static_cast<int64_t>(sources.size())});
  };
  if (conv.scattered.empty())
    for (int c = 0; c < conv.src.channels; ++c) add(conv.src, 0, c);
  for (const ChannelSource& source : conv.scattered)
    add(conv.sources[static_cast<size_t>(source.map)], source.map, source.channel);
  std::ranges::stable_sort(sources, {},
                           [](const Source& source) { return std::pair(source.map, source.channel); });
  return sources;
}

}  // namespace

PointwiseLayer::PointwiseLayer(const ConvDescription& conv)
    : groups(group_outputs(conv.dst.channels, *conv.kernels)), bias(pack_bias(groups, conv.bias)) {
  const std::vector<Source> sources = find_sources(conv);
  channels = static_cast<int64_t>(sources.size());
  for (int64_t image = 0; image < conv.dst.images; ++image)
    for (const Source& source : sources) offsets.push_back(source.offset + image * source.image_stride);
  int64_t weight_floats = 0, bias_floats = 0;
  for (const OutputGroup& group : groups) {
    weights_at.push_back(weight_floats);
    bias_at.push_back(bias_floats);
    weight_floats += channels * group.width();
    bias_floats += group.width();
  }
  weights = Tensor({weight_floats});
  conv.pool->parallel_for(static_cast<int64_t>(groups.size()), [&](int64_t g, int) {
    pack_weights(
        groups[static_cast<size_t>(g)], conv.dst.channels, channels,
        [&](int64_t output, int64_t c) {
          return conv.weight[static_cast<size_t>(output * channels + sources[static_cast<size_t>(c)].column)];
        },
        weights.values().data() + weights_at[static_cast<size_t>(g)]);
  });
}

bool accepts_pointwise(const ConvDescription& conv) {
  return conv.is_float32() && conv.kernel == 1 && conv.stride == 1 && conv.groups == 1 &&
         conv.pad_x == Padding() && conv.pad_y == Padding() && conv.src.layout == Layout::kBlocked;
}

}  // namespace marrow::engine
