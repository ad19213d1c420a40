// Large 1x1 convolutions by one level of Strassen's algorithm: pixels, input channels and output channels are
// halved, and seven products of halves do the work of eight (Strassen, Gaussian Elimination is not Optimal,
// 1969).
//
//   M1 = (A11 + A22)(B11 + B22)   M2 = (A21 + A22) B11   M3 = A11 (B12 - B22)   M4 = A22 (B21 - B11)
//   M5 = (A11 + A12) B22   M6 = (A21 - A11)(B11 + B12)   M7 = (A12 - A22)(B21 + B22)
//   C11 = M1 + M4 - M5 + M7   C12 = M3 + M5   C21 = M2 + M4   C22 = M1 - M2 + M3 + M6
//
// A: pixels by input channels, B: the weights, whose sums are packed ahead. A task takes some pixels. It adds
// the quarters of A while it packs them for the register tiles (steps/packed_product.h), some channels at a
// time, and the tiles add their sums to the quarters of C from the registers: the products themselves are
// nowhere in memory.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/tensor.h"
#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/packed_product.h"

namespace marrow::engine {
namespace {

// From where on it was faster than the plain product.
constexpr int64_t kFewestChannels = 512;
constexpr int64_t kFewestPixels = 28;

// A quarter with its sign; 0: none. A: [half of the pixels][of the input channels], B: [input channels]
// [outputs], C: [pixels][outputs].
struct Quarter {
  int row;
  int column;
  float sign;
};
constexpr Quarter kNone = {0, 0, 0};
struct Product {
  std::array<Quarter, 2> a, b, c;
};
// In an order in which a quarter of C is begun before it is added to.
constexpr std::array<Product, 7> kProducts = {{
    {{{{0, 0, 1}, {1, 1, 1}}}, {{{0, 0, 1}, {1, 1, 1}}}, {{{0, 0, 1}, {1, 1, 1}}}},
    {{{{1, 0, 1}, {1, 1, 1}}}, {{{0, 0, 1}, kNone}}, {{{1, 0, 1}, {1, 1, -1}}}},
    {{{{0, 0, 1}, kNone}}, {{{0, 1, 1}, {1, 1, -1}}}, {{{0, 1, 1}, {1, 1, 1}}}},
    {{{{1, 1, 1}, kNone}}, {{{1, 0, 1}, {0, 0, -1}}}, {{{0, 0, 1}, {1, 0, 1}}}},
    {{{{0, 0, 1}, {0, 1, 1}}}, {{{1, 1, 1}, kNone}}, {{{0, 0, -1}, {0, 1, 1}}}},
    {{{{1, 0, 1}, {0, 0, -1}}}, {{{0, 0, 1}, {0, 1, 1}}}, {{{1, 1, 1}, kNone}}},
    {{{{0, 1, 1}, {1, 1, -1}}}, {{{1, 0, 1}, {1, 1, 1}}}, {{{0, 0, 1}, kNone}}},
}};
constexpr int64_t kProductCount = kProducts.size();

// Whether the product is the first that a quarter of C gets.
constexpr bool begins(size_t product, const Quarter& quarter) {
  for (size_t p = 0; p < product; ++p)
    for (const Quarter& other : kProducts[p].c)
      if (other.sign != 0 && other.row == quarter.row && other.column == quarter.column) return false;
  return true;
}

class Strassen final : public Step {
 public:
  explicit Strassen(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override { return fmt::format("strassen 1x1/1{}", to_string(conv_.epilogue)); }
  int64_t scratch_floats() const override { return most_half_ * std::min(channels_, kPackedChannels); }

 private:
  void pack();
  void pack_group(size_t product, size_t g);
  // Pixels that are computed together, `tiles` and as many after them, for some groups of outputs.
  struct Task {
    int64_t image, first;
    PackedTiles tiles;
    size_t first_group, end_group;
  };
  void run_task(const RunContext& context, const Task& task, float* packed) const;
  // One product, of some input channels.
  void multiply(const RunContext& context, const Task& task, size_t product, int64_t channel,
                const float* packed) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  int64_t in_blocks_, out_blocks_;  // of a half
  int64_t channels_;                // of a half of the input
  // An image's pixels are cut without regard to the threads: the numbers depend on which half a pixel is in.
  int64_t chunks_ = 1;
  int64_t most_half_ = 0;            // pixels of a chunk's half
  int64_t group_parts_ = 1;          // tasks that a chunk's groups are cut into
  std::vector<OutputGroup> groups_;  // of a half of the output channels
  std::vector<int64_t> weights_at_;  // of each group in a product's weights
  int64_t product_weights_ = 0;
  Tensor weights_, bias_;  // weights: [product][group][channel][width]
};

Strassen::Strassen(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      in_blocks_(conv.src.channels / kernels_.lanes / 2),
      out_blocks_(conv.dst.channels / kernels_.lanes / 2),
      channels_(in_blocks_ * kernels_.lanes),
      groups_(group_outputs(conv.dst.channels / 2, kernels_)) {
  const int64_t pairs = conv.dst.pixels() / 2;
  const int64_t tile = kernels_.tile_pixels;
  const int64_t wanted =
      std::max<int64_t>(
          cpu::cache_bytes(2) / 2 / int64_t{sizeof(float)} / std::min(channels_, kPackedChannels) / tile, 1) *
      tile;
  chunks_ = (pairs + wanted - 1) / wanted;
  most_half_ = (pairs + chunks_ - 1) / chunks_;
  const int64_t tasks = chunks_ * conv.dst.images;
  if (const int64_t threads = conv.pool->threads(); threads > 1)
    group_parts_ = std::clamp<int64_t>((kTasksPerThread * threads + tasks - 1) / tasks, 1,
                                       static_cast<int64_t>(groups_.size()));
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(product_weights_);
    product_weights_ += channels_ * group.width();
  }
  bias_ = Tensor({2 * out_blocks_ * kernels_.lanes});
  std::ranges::copy(conv_.bias, bias_.values().begin());
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

void Strassen::pack() {
  weights_ = Tensor({kProductCount * product_weights_});
  const auto groups = static_cast<int64_t>(groups_.size());
  conv_.pool->parallel_for(kProductCount * groups, [&](int64_t task, int) {
    pack_group(static_cast<size_t>(task / groups), static_cast<size_t>(task % groups));
  });
}

void Strassen::pack_group(size_t product, size_t g) {
  const OutputGroup& group = groups_[g];
  float* packed =
      weights_.values().data() + static_cast<int64_t>(product) * product_weights_ + weights_at_[g];
  for (const Quarter& quarter : kProducts[product].b) {
    if (quarter.sign == 0) continue;
    const float* first = conv_.weight.data() + quarter.column * out_blocks_ * kernels_.lanes * 2 * channels_ +
                         quarter.row * channels_;
    pack_weights(
        group, conv_.dst.channels / 2, channels_,
        [&](int64_t output, int64_t c) { return quarter.sign * first[output * 2 * channels_ + c]; }, packed);
  }
}

void Strassen::run(const RunContext& context) const {
  const int64_t pixels = conv_.dst.pixels();
  const auto groups = static_cast<int64_t>(groups_.size());
  context.pool->parallel_for(conv_.dst.images * chunks_ * group_parts_, [&](int64_t index, int thread) {
    const int64_t part = index % group_parts_;
    const int64_t chunk = index / group_parts_ % chunks_;
    const int64_t first = chunk * (pixels / 2) / chunks_, end = (chunk + 1) * (pixels / 2) / chunks_;
    Task task{index / group_parts_ / chunks_, 2 * first, PackedTiles(end - first, kernels_.tile_pixels),
              static_cast<size_t>(part * groups / group_parts_),
              static_cast<size_t>((part + 1) * groups / group_parts_)};
    run_task(context, task, context.thread_scratch(thread));
    if (chunk + 1 < chunks_ || pixels % 2 == 0) return;
    // The odd one, and the one before it again.
    task.first = pixels - 2;
    task.tiles = PackedTiles(1, kernels_.tile_pixels);
    run_task(context, task, context.thread_scratch(thread));
  });
}

void Strassen::run_task(const RunContext& context, const Task& task, float* packed) const {
  const int64_t lanes = kernels_.lanes;
  const int64_t block_floats = conv_.src.block_floats(kernels_.lanes);
  const PackedTiles& tiles = task.tiles;
  const float* map = context.read(conv_.src) + task.image * conv_.src.image_stride + task.first * lanes;
  for (size_t p = 0; p < kProducts.size(); ++p)
    for (int64_t channel = 0; channel < channels_; channel += kPackedChannels) {
      const int64_t blocks = std::min(kPackedChannels, channels_ - channel) / lanes;
      const auto& [left, right] = kProducts[p].a;
      const auto at = [&](const Quarter& quarter, int64_t tile) {
        return map + (quarter.column * in_blocks_ + channel / lanes) * block_floats +
               (quarter.row * tiles.pixels() + tiles.first(tile)) * lanes;
      };
      for (int64_t tile = 0; tile < tiles.count(); ++tile)
        kernels_.pack_pixels({at(left, tile), right.sign == 0 ? nullptr : at(right, tile), right.sign,
                              block_floats, blocks, static_cast<int>(tiles.pixels(tile)),
                              packed + tiles.first(tile) * blocks * lanes});
      multiply(context, task, p, channel, packed);
    }
  for (size_t g = task.first_group; g < task.end_group; ++g)
    for (const int64_t half : {int64_t{0}, out_blocks_})
      finish_tile(
          context, conv_,
          {task.image, half + groups_[g].first_block, groups_[g].vectors(), task.first, 2 * tiles.pixels()});
}

void Strassen::multiply(const RunContext& context, const Task& task, size_t product, int64_t channel,
                        const float* packed) const {
  const float* weights = weights_.values().data() + static_cast<int64_t>(product) * product_weights_;
  const auto weights_of = [&](size_t g) { return weights + weights_at_[g] + channel * groups_[g].width(); };
  PackedProduct factors{&task.tiles, packed, std::min(kPackedChannels, channels_ - channel), nullptr,
                        nullptr};
  for (size_t g = task.first_group; g < task.end_group; ++g) {
    factors.weights = weights_of(g);
    factors.next = g + 1 < task.end_group ? weights_of(g + 1) : nullptr;
    std::array<PackedResult, kMostPackedResults> results{};
    size_t count = 0;
    for (const Quarter& quarter : kProducts[product].c) {
      if (quarter.sign == 0) continue;
      const int64_t block = quarter.column * out_blocks_ + groups_[g].first_block;
      const TilePlace place{task.image, block, 1, task.first + quarter.row * task.tiles.pixels(), 1};
      const bool fresh = channel == 0 && begins(product, quarter);
      results[count++] = {place.in(conv_.dst, context.write(conv_.dst), kernels_.lanes), quarter.sign,
                          fresh ? bias_.values().data() + block * kernels_.lanes : nullptr};
    }
    add_packed(kernels_, groups_[g], factors, {results.data(), count},
               conv_.dst.block_floats(kernels_.lanes));
  }
}

}  // namespace

bool accepts_strassen(const ConvDescription& conv) {
  const int lanes = conv.kernels->lanes;
  return accepts_pointwise(conv) && conv.scattered.empty() && conv.src.channels >= kFewestChannels &&
         conv.dst.channels >= kFewestChannels && conv.src.channels % (2 * lanes) == 0 &&
         conv.dst.channels % (2 * lanes) == 0 && conv.dst.pixels() >= kFewestPixels;
}

StepPtr make_strassen(const ConvDescription& conv) {
  return std::make_unique<Strassen>(conv);
}

}  // namespace marrow::engine
