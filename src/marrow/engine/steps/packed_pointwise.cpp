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
  int64_t scratch_floats() const override { return most_pixels_ * most_blocks_ * kernels_.lanes; }

 private:
  // Blocks of the map that lie equally far apart: one copy packs them.
  struct Run {
    int64_t channel;  // one of the first block's
    int64_t blocks;
    int64_t step;  // floats from block to block
  };
  // Some input channels, which are packed and multiplied at a time; whole blocks of the map are packed.
  struct Part {
    int64_t channel, channels;
    int64_t blocks = 0;
    std::vector<Run> runs;
    // Where not all lanes of the blocks are multiplied: the places of the channels in a packed tile of so
    // many pixels, less one.
    std::vector<std::vector<int64_t>> offsets;
  };

  Part make_part(int64_t channel) const;
  void cut_into_tasks();
  void run_task(const RunContext& context, int64_t image, int64_t chunk, float* packed) const;
  void pack(const RunContext& context, int64_t image, int64_t first_pixel, const Part& part,
            const PackedTiles& tiles, float* packed) const;
  void multiply_lanes(const OutputGroup& group, const Part& part, const PackedProduct& product,
                      const float* bias, float* dst) const;
  // Of the first lane of the channel's block, in the arena.
  int64_t block_offset(int64_t image, int64_t channel) const {
    const int64_t offset = layer_.offsets_of(image)[channel];
    return offset - offset % kernels_.lanes;
  }

  ConvDescription conv_;
  const Kernels& kernels_;
  PointwiseLayer layer_;
  std::vector<Part> parts_;
  int64_t most_blocks_ = 0;  // of a part
  int64_t pixels_;
  int64_t chunks_ = 1;  // tasks that an image's pixels are cut into
  int64_t most_pixels_ = 0;
};

PackedPointwise::PackedPointwise(const ConvDescription& conv)
    : conv_(conv), kernels_(*conv.kernels), layer_(conv), pixels_(conv.dst.pixels()) {
  for (int64_t channel = 0; channel < layer_.channels; channel += kPackedChannels) {
    parts_.push_back(make_part(channel));
    most_blocks_ = std::max(most_blocks_, parts_.back().blocks);
  }
  cut_into_tasks();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

PackedPointwise::Part PackedPointwise::make_part(int64_t channel) const {
  const int64_t lanes = kernels_.lanes;
  Part part{channel, std::min(kPackedChannels, layer_.channels - channel), 0, {}, {}};
  const int64_t images = conv_.dst.images;
  // The distance between two channels' blocks; 0: not the same for all images.
  const auto distance = [&](int64_t from, int64_t to) {
    const int64_t step = block_offset(0, to) - block_offset(0, from);
    for (int64_t image = 1; image < images; ++image)
      if (block_offset(image, to) - block_offset(image, from) != step) return int64_t{0};
    return step;
  };
  bool dense = true;
  std::vector<int64_t> lane_places;  // of the channels, in pixels of one block after the other
  for (int64_t c = channel, last = -1; c < channel + part.channels; ++c) {
    const int64_t lane = layer_.offsets_of(0)[c] - block_offset(0, c);
    if (last < 0 || block_offset(0, c) != block_offset(0, last)) {
      const int64_t step = last < 0 ? 0 : distance(last, c);
      if (part.blocks > 0 && step != 0 && (part.runs.back().blocks == 1 || part.runs.back().step == step))
        part.runs.back() = {part.runs.back().channel, part.runs.back().blocks + 1, step};
      else
        part.runs.push_back({c, 1, 0});
      ++part.blocks;
      last = c;
    }
    lane_places.push_back((part.blocks - 1) * lanes + lane);
    dense = dense && lane_places.back() == c - channel;
  }
  if (dense) return part;
  for (int64_t pixels = 1; pixels <= kernels_.tile_pixels; ++pixels) {
    std::vector<int64_t>& offsets = part.offsets.emplace_back();
    for (const int64_t place : lane_places) offsets.push_back(place / lanes * pixels * lanes + place % lanes);
  }
  return part;
}

void PackedPointwise::cut_into_tasks() {
  const int64_t tile = kernels_.tile_pixels;
  const int64_t bytes = cpu::cache_bytes(2) / 10;
  const int64_t pixel_bytes = most_blocks_ * kernels_.lanes * int64_t{sizeof(float)};
  const int64_t tiles = std::clamp<int64_t>(bytes / pixel_bytes / tile, 4, 32);
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
  for (const Part& part : parts_) {
    pack(context, image, first, part, tiles, packed);
    PackedProduct product{&tiles, packed, part.channels, nullptr, nullptr};
    for (size_t g = 0; g < layer_.groups.size(); ++g) {
      const OutputGroup& group = layer_.groups[g];
      const TilePlace place{image, group.first_block, group.vectors(), first, tiles.pixels()};
      const float* bias = part.channel == 0 ? layer_.bias_of(g) : nullptr;
      float* dst = place.in(conv_.dst, context.write(conv_.dst), kernels_.lanes);
      product.weights = layer_.weights_of(g, part.channel);
      product.next = g + 1 < layer_.groups.size() ? layer_.weights_of(g + 1, part.channel) : nullptr;
      if (part.offsets.empty())
        multiply_packed(kernels_, group, product, bias, dst, conv_.dst.block_floats(kernels_.lanes));
      else
        multiply_lanes(group, part, product, bias, dst);
      if (&part == &parts_.back()) finish_tile(context, conv_, place);
    }
  }
}

void PackedPointwise::pack(const RunContext& context, int64_t image, int64_t first_pixel, const Part& part,
                           const PackedTiles& tiles, float* packed) const {
  for (int64_t tile = 0; tile < tiles.count(); ++tile) {
    const float* src = context.arena + (first_pixel + tiles.first(tile)) * kernels_.lanes;
    const int64_t pixels = tiles.pixels(tile);
    for (const Run& run : part.runs) {
      kernels_.pack_pixels({{src + block_offset(image, run.channel)},
                            {1},
                            1,
                            run.step,
                            run.blocks,
                            static_cast<int>(pixels),
                            packed});
      packed += run.blocks * pixels * kernels_.lanes;
    }
  }
}

// Of packed blocks, the lanes that are the layer's.
void PackedPointwise::multiply_lanes(const OutputGroup& group, const Part& part, const PackedProduct& product,
                                     const float* bias, float* dst) const {
  const int64_t lanes = kernels_.lanes;
  const auto& kernels = kernels_.pointwise_tile[static_cast<size_t>(group.halves - 1)];
  PointwiseTileArgs args{};
  args.channels = static_cast<int>(part.channels);
  args.weights = product.weights;
  args.bias = bias;
  args.dst_block = conv_.dst.block_floats(kernels_.lanes);
  for (int64_t tile = 0; tile < product.tiles->count(); ++tile) {
    const auto shape = static_cast<size_t>(product.tiles->pixels(tile) - 1);
    args.src = product.src + product.tiles->first(tile) * part.blocks * lanes;
    args.offsets = part.offsets[shape].data();
    args.dst = dst + product.tiles->first(tile) * lanes;
    kernels[shape](args);
  }
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
