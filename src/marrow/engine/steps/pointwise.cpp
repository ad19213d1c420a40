// 1x1 convolutions of stride 1: a matrix product whose input channels may lie in several maps and in any order, so that
// concatenations, slices and channel shuffles before it cost nothing. The map is one long row of pixels, cut into tiles of
// nearly equal width.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/tensor.h"
#include "engine/steps/convolution.h"
#include "engine/steps/output_groups.h"

namespace marrow {
namespace {

// Of the input a task reads, so that it stays in a second-level cache beside the weights; but enough tiles that weights,
// which each task reads again, are used often.
constexpr int64_t kChunkFloats = 64 * 1024;
constexpr int64_t kFewestTiles = 16;
constexpr int64_t kTasksPerThread = 4;
// Input channels that all tiles of a task take before the next: their weights stay in the cache.
constexpr int64_t kBlockChannels = 512;

class Pointwise final : public Step {
 public:
  explicit Pointwise(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override;

 private:
  // An input channel: its place in the arena for image 0, and its column of the weights.
  struct Source {
    int64_t offset;
    int64_t image_stride;
    int64_t column;
  };

  std::vector<Source> find_sources() const;
  void pack(std::span<const Source> sources);
  void cut_into_tasks();
  void run_tile(const RunContext& context, size_t group, int64_t image, int64_t segment,
                int64_t channel) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  int64_t channels_;  // of the input
  int64_t pixels_;
  int64_t segments_;   // tiles in a map
  int64_t chunk_ = 1;  // tiles in a task
  std::vector<OutputGroup> groups_;
  std::vector<int64_t> weights_at_, bias_at_;  // of each group
  std::vector<int64_t> offsets_;               // [image][channel]
  Tensor weights_, bias_;                      // weights: [group][channel][width]
};

Pointwise::Pointwise(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      pixels_(conv.dst.pixels()),
      segments_((pixels_ + kernels_.tile_pixels - 1) / kernels_.tile_pixels),
      groups_(group_outputs(conv.dst.channels, kernels_.lanes)) {
  const std::vector<Source> sources = find_sources();
  channels_ = static_cast<int64_t>(sources.size());
  for (int64_t image = 0; image < conv.dst.images; ++image)
    for (const Source& source : sources) offsets_.push_back(source.offset + image * source.image_stride);
  pack(sources);
  cut_into_tasks();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

// In the order of the memory, whatever the order of the weights' columns.
std::vector<Pointwise::Source> Pointwise::find_sources() const {
  const int64_t lanes = kernels_.lanes;
  std::vector<Source> sources;
  const auto add = [&](const View& view, int64_t channel) {
    sources.push_back(
        {view.buffer.offset + channel / lanes * view.block_floats(kernels_.lanes) + channel % lanes,
         view.image_stride, static_cast<int64_t>(sources.size())});
  };
  if (conv_.scattered.empty())
    for (int64_t c = 0; c < conv_.src.channels; ++c) add(conv_.src, c);
  for (const ChannelSource& source : conv_.scattered)
    add(conv_.sources[static_cast<size_t>(source.map)], source.channel);
  std::ranges::stable_sort(sources, {}, &Source::offset);
  return sources;
}

void Pointwise::pack(std::span<const Source> sources) {
  int64_t weights = 0;
  int64_t bias = 0;
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(weights);
    bias_at_.push_back(bias);
    weights += channels_ * group.width();
    bias += group.width();
  }
  weights_ = Tensor({weights});
  bias_ = pack_bias(groups_, conv_.bias);
  conv_.pool->parallel_for(static_cast<int64_t>(groups_.size()), [&](int64_t g, int) {
    const OutputGroup& group = groups_[static_cast<size_t>(g)];
    float* packed = weights_.values().data() + weights_at_[static_cast<size_t>(g)];
    for (int64_t slot = 0; slot < group.width(); ++slot) {
      const int64_t out = group.channel(slot);
      if (out >= conv_.dst.channels) continue;
      const float* row = conv_.weight.data() + out * channels_;
      for (int64_t c = 0; c < channels_; ++c)
        packed[c * group.width() + slot] = row[sources[static_cast<size_t>(c)].column];
    }
  });
}

void Pointwise::cut_into_tasks() {
  chunk_ = std::max(kFewestTiles, kChunkFloats * segments_ / (pixels_ * channels_));
  chunk_ = std::min(chunk_, segments_);
  const int64_t wanted = kTasksPerThread * conv_.pool->threads();
  const auto groups = static_cast<int64_t>(groups_.size());
  while (chunk_ > 4 && (segments_ + chunk_ - 1) / chunk_ * groups * conv_.dst.images < wanted) chunk_ /= 2;
}

void Pointwise::run(const RunContext& context) const {
  const int64_t chunks = (segments_ + chunk_ - 1) / chunk_;
  const auto groups = static_cast<int64_t>(groups_.size());
  // Output groups vary fastest, so that a thread's share is a region of the map: the next layer finds it in
  // the same core's cache.
  context.pool->parallel_for(conv_.dst.images * chunks * groups, [&](int64_t task, int) {
    const int64_t first = task / groups % chunks * chunk_;
    const int64_t last = std::min(first + chunk_, segments_);
    for (int64_t channel = 0; channel < channels_; channel += kBlockChannels)
      for (int64_t segment = first; segment < last; ++segment)
        run_tile(context, static_cast<size_t>(task % groups), task / groups / chunks, segment, channel);
  });
}

// One block of input channels, from `channel` on.
void Pointwise::run_tile(const RunContext& context, size_t g, int64_t image, int64_t segment,
                         int64_t channel) const {
  const int lanes = kernels_.lanes;
  const OutputGroup& group = groups_[g];
  const int64_t first = segment * pixels_ / segments_;
  const int64_t pixels = (segment + 1) * pixels_ / segments_ - first;
  const TilePlace place{image, group.first_block, group.vectors(), first, pixels};
  PointwiseTileArgs args;
  args.src = context.arena + first * lanes;
  args.offsets = offsets_.data() + image * channels_ + channel;
  args.channels = static_cast<int>(std::min(kBlockChannels, channels_ - channel));
  args.weights = weights_.values().data() + weights_at_[g] + channel * group.width();
  args.bias = channel == 0 ? bias_.values().data() + bias_at_[g] : nullptr;
  args.dst = place.in(conv_.dst, context.write(conv_.dst), lanes);
  args.dst_block = conv_.dst.block_floats(lanes);
  kernels_.pointwise_tile[static_cast<size_t>(group.halves - 1)][static_cast<size_t>(pixels - 1)](args);
  if (channel + args.channels == channels_) finish_tile(context, conv_, place);
}

std::string Pointwise::kernel() const {
  return fmt::format("direct 1x1/1{} tile {}x{}{}", conv_.scattered.empty() ? "" : " scattered",
                     (pixels_ + segments_ - 1) / segments_, groups_.front().halves / 2.0,
                     to_string(conv_.epilogue));
}

}  // namespace

bool accepts_pointwise(const ConvDescription& conv) {
  return conv.kernel == 1 && conv.stride == 1 && conv.groups == 1 && conv.pad_x == Padding() &&
         conv.pad_y == Padding() && conv.src.layout == Layout::kBlocked;
}

StepPtr make_pointwise(const ConvDescription& conv) {
  return std::make_unique<Pointwise>(conv);
}

}  // namespace marrow
