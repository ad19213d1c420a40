// 1x1 convolutions of stride 1 whose pixels are packed first: some pixels of some channels at a time are
// copied into the thread's second-level cache, where every group of outputs reads them in one run. In the map
// a pixel's blocks of channels lie far apart, in the same sets of a cache if the map is large; the copy pays
// where several groups read it. It also gathers channels that lie apart.
#include <fmt/format.h>

#include <algorithm>

#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/packed_product.h"
#include "marrow/engine/steps/pointwise_layer.h"

namespace marrow::engine {
namespace {

class PackedPointwise final : public Step {
 public:
  explicit PackedPointwise(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("packed 1x1/1{}{}", conv_.scattered.empty() ? "" : " scattered",
                       to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override {
    return most_pixels_ * std::min(padded(layer_.channels), kPackedChannels);
  }

 private:
  // Packed blocks that one copy fills: they lie in the map in order, equally far apart. Otherwise `step` is 0
  // and a block's channels are gathered one by one.
  struct Run {
    int64_t first, blocks;
    int64_t step;  // floats from block to block
  };

  int64_t padded(int64_t channels) const {
    return (channels + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes;
  }
  void find_runs();
  void cut_into_tasks();
  void run_task(const RunContext& context, int64_t image, int64_t chunk, float* packed) const;
  void pack(const RunContext& context, int64_t image, int64_t first_pixel, int64_t first_channel,
            const PackedTiles& tiles, float* packed) const;
  void gather(const float* src, const int64_t* offsets, int64_t channels, int64_t pixels, float* dst) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  PointwiseLayer layer_;
  int64_t pixels_;
  int64_t chunks_ = 1;  // tasks that an image's pixels are cut into
  int64_t most_pixels_ = 0;
  std::vector<Run> runs_;  // they end where kPackedChannels end
};

PackedPointwise::PackedPointwise(const ConvDescription& conv)
    : conv_(conv), kernels_(*conv.kernels), layer_(conv), pixels_(conv.dst.pixels()) {
  find_runs();
  cut_into_tasks();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

void PackedPointwise::find_runs() {
  const int64_t lanes = kernels_.lanes;
  const auto in_order = [&](int64_t block) {
    const int64_t end = std::min((block + 1) * lanes, layer_.channels);
    for (int64_t image = 0; image < conv_.dst.images; ++image)
      for (int64_t c = block * lanes; c + 1 < end; ++c)
        if (layer_.offsets_of(image)[c + 1] != layer_.offsets_of(image)[c] + 1) return false;
    return true;
  };
  const auto step_to = [&](int64_t block) {
    const int64_t c = block * lanes;
    const int64_t step = layer_.offsets_of(0)[c] - layer_.offsets_of(0)[c - lanes];
    for (int64_t image = 1; image < conv_.dst.images; ++image)
      if (layer_.offsets_of(image)[c] - layer_.offsets_of(image)[c - lanes] != step) return int64_t{0};
    return step;
  };
  const int64_t blocks = padded(layer_.channels) / lanes;
  for (int64_t block = 0; block < blocks; ++block) {
    if (!in_order(block)) {
      runs_.push_back({block, 1, 0});
      continue;
    }
    const bool follows = block % (kPackedChannels / lanes) != 0 && runs_.back().step != 0;
    if (follows && (runs_.back().blocks == 1 || runs_.back().step == step_to(block)) && step_to(block) != 0)
      runs_.back() = {runs_.back().first, runs_.back().blocks + 1, step_to(block)};
    else
      runs_.push_back({block, 1, 1});
  }
}

void PackedPointwise::cut_into_tasks() {
  const int64_t tile = kernels_.tile_pixels;
  const int64_t channels = std::min(padded(layer_.channels), kPackedChannels);
  const int64_t bytes = cpu::cache_bytes(2) / 10;
  const int64_t tiles = std::clamp<int64_t>(bytes / int64_t{sizeof(float)} / channels / tile, 4, 32);
  const int64_t threads = conv_.pool->threads();
  chunks_ = (pixels_ + tiles * tile - 1) / (tiles * tile);
  if (threads > 1 && chunks_ * conv_.dst.images < 2 * threads)
    chunks_ = std::clamp<int64_t>(2 * threads, 1, (pixels_ + tile - 1) / tile);
  most_pixels_ = (pixels_ + chunks_ - 1) / chunks_;
}

void PackedPointwise::run(const RunContext& context) const {
  context.pool->parallel_for(conv_.dst.images * chunks_, [&](int64_t task, int thread) {
    run_task(context, task / chunks_, task % chunks_, context.thread_scratch(thread));
  });
}

void PackedPointwise::run_task(const RunContext& context, int64_t image, int64_t chunk, float* packed) const {
  const int64_t first = chunk * pixels_ / chunks_;
  const PackedTiles tiles((chunk + 1) * pixels_ / chunks_ - first, kernels_.tile_pixels);
  for (int64_t channel = 0; channel < layer_.channels; channel += kPackedChannels) {
    pack(context, image, first, channel, tiles, packed);
    PackedProduct product{&tiles, packed, std::min(kPackedChannels, layer_.channels - channel), nullptr,
                          nullptr};
    for (size_t g = 0; g < layer_.groups.size(); ++g) {
      const OutputGroup& group = layer_.groups[g];
      product.weights = layer_.weights_of(g, channel);
      product.next = g + 1 < layer_.groups.size() ? layer_.weights_of(g + 1, channel) : nullptr;
      const TilePlace place{image, group.first_block, group.vectors(), first, tiles.pixels()};
      multiply_packed(kernels_, group, product, channel == 0 ? layer_.bias_of(g) : nullptr,
                      place.in(conv_.dst, context.write(conv_.dst), kernels_.lanes),
                      conv_.dst.block_floats(kernels_.lanes));
      if (channel + kPackedChannels >= layer_.channels) finish_tile(context, conv_, place);
    }
  }
}

void PackedPointwise::pack(const RunContext& context, int64_t image, int64_t first_pixel,
                           int64_t first_channel, const PackedTiles& tiles, float* packed) const {
  const int64_t lanes = kernels_.lanes;
  const int64_t* offsets = layer_.offsets_of(image);
  const int64_t first_block = first_channel / lanes;
  const int64_t end_block = padded(std::min(first_channel + kPackedChannels, layer_.channels)) / lanes;
  const auto begin = std::ranges::lower_bound(runs_, first_block, {}, &Run::first);
  for (int64_t tile = 0; tile < tiles.count(); ++tile) {
    const float* src = context.arena + (first_pixel + tiles.first(tile)) * lanes;
    const int64_t pixels = tiles.pixels(tile);
    for (auto run = begin; run != runs_.end() && run->first < end_block; ++run) {
      const int64_t channel = run->first * lanes;
      if (run->step == 0)
        gather(src, offsets + channel, std::min(lanes, layer_.channels - channel), pixels, packed);
      else
        kernels_.pack_pixels(
            {src + offsets[channel], nullptr, 0, run->step, run->blocks, static_cast<int>(pixels), packed});
      packed += run->blocks * pixels * lanes;
    }
  }
}

// One packed block.
void PackedPointwise::gather(const float* src, const int64_t* offsets, int64_t channels, int64_t pixels,
                             float* dst) const {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t p = 0; p < pixels; ++p) dst[p * kernels_.lanes + c] = src[offsets[c] + p * kernels_.lanes];
}

}  // namespace

// Where it gains by the fixed rule: several groups of outputs read the copy, and what they read would not
// stay in the cache or is gathered.
bool accepts_packed_pointwise(const ConvDescription& conv) {
  const int64_t map_bytes = conv.src.channels * conv.src.pixels() * int64_t{sizeof(float)};
  return accepts_pointwise(conv) && group_outputs(conv.dst.channels, *conv.kernels).size() > 2 &&
         (map_bytes > cpu::cache_bytes(2) / 2 || !conv.scattered.empty());
}

StepPtr make_packed_pointwise(const ConvDescription& conv) {
  return std::make_unique<PackedPointwise>(conv);
}

}  // namespace marrow::engine
