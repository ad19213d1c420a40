// 1x1 convolutions of stride 1: a matrix product whose input channels may lie in several maps and in any
// order, so that concatenations, slices and channel shuffles before it cost nothing. The map is one long row
// of pixels.
#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/matrix_product.h"

namespace marrow::engine {
namespace {

constexpr int64_t kTaskTiles =
    16;  // at most: enough to use a group's weights often, few enough for the cache

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
  void run_task(const RunContext& context, size_t group, int64_t image, int64_t chunk) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  int64_t channels_;  // of the input
  int64_t pixels_;
  int64_t chunks_ = 1;  // tasks that an image's pixels are cut into
  std::vector<OutputGroup> groups_;
  std::vector<int64_t> weights_at_, bias_at_;  // of each group
  std::vector<int64_t> offsets_;               // [image][channel]
  Tensor weights_, bias_;                      // weights: [group][channel][width]
};

Pointwise::Pointwise(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      pixels_(conv.dst.pixels()),
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
  const int64_t tiles = (pixels_ + kernels_.tile_pixels - 1) / kernels_.tile_pixels;
  const int64_t wanted = kTasksPerThread * conv_.pool->threads();
  const auto groups = static_cast<int64_t>(groups_.size());
  int64_t task_tiles = std::min(kTaskTiles, tiles);
  while (task_tiles > 4 && (tiles + task_tiles - 1) / task_tiles * groups * conv_.dst.images < wanted)
    task_tiles /= 2;
  chunks_ = (tiles + task_tiles - 1) / task_tiles;
}

void Pointwise::run(const RunContext& context) const {
  const auto groups = static_cast<int64_t>(groups_.size());
  // Output groups vary fastest, so that a thread's share is a region of the map: the next layer finds it in
  // the same core's cache.
  context.pool->parallel_for(conv_.dst.images * chunks_ * groups, [&](int64_t task, int) {
    run_task(context, static_cast<size_t>(task % groups), task / groups / chunks_, task / groups % chunks_);
  });
}

void Pointwise::run_task(const RunContext& context, size_t g, int64_t image, int64_t chunk) const {
  const int lanes = kernels_.lanes;
  const OutputGroup& group = groups_[g];
  const int64_t first = chunk * pixels_ / chunks_;
  const TilePlace place{image, group.first_block, group.vectors(), first,
                        (chunk + 1) * pixels_ / chunks_ - first};
  MatrixProduct product;
  product.src = context.arena + first * lanes;
  product.offsets = offsets_.data() + image * channels_;
  product.channels = channels_;
  product.weights = weights_.values().data() + weights_at_[g];
  product.bias = bias_.values().data() + bias_at_[g];
  product.dst = place.in(conv_.dst, context.write(conv_.dst), lanes);
  product.dst_block = conv_.dst.block_floats(lanes);
  product.pixels = place.pixels;
  multiply(kernels_, group, product);
  finish_tile(context, conv_, place);
}

std::string Pointwise::kernel() const {
  return fmt::format("direct 1x1/1{} x{}{}", conv_.scattered.empty() ? "" : " scattered",
                     groups_.front().halves / 2.0, to_string(conv_.epilogue));
}

}  // namespace

bool accepts_pointwise(const ConvDescription& conv) {
  return conv.is_float32() && conv.kernel == 1 && conv.stride == 1 && conv.groups == 1 &&
         conv.pad_x == Padding() && conv.pad_y == Padding() && conv.src.layout == Layout::kBlocked;
}

StepPtr make_pointwise(const ConvDescription& conv) {
  return std::make_unique<Pointwise>(conv);
}

}  // namespace marrow::engine
