// Large 1x1 convolutions by Strassen's algorithm (steps/strassen_products.h): seven eighths of the
// multiplications by one level, 49 of 64 by two.
//
// A: pixels by input channels, B: the weights, whose sums are packed ahead. A task takes some pixels. It adds
// the parts of A while it packs them for the register tiles (steps/packed_product.h), some channels at a
// time, and the tiles add their sums to the parts of C from the registers: the products themselves are
// nowhere in memory. With two levels a number of C is read and written nine times, so tiles ask for it ahead.
//
// Rounding: with u = 2^-24 and K channels, the error of a number of C is to first order at most
// (3 K^2 + O(K)) u max|A| max|B| by one level and (9 K^2 + O(K)) u max|A| max|B| by two, where the plain
// product has K^2 u max|A| max|B| (Higham, Accuracy and Stability of Numerical Algorithms, section 23.2.2).
// On numbers without a pattern the root mean square of it stays below 2 and 4 times u sqrt(K / 2) times the
// root of the sum of the K squared products; a plain chain has about 1.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/tensor.h"
#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/packed_product.h"
#include "marrow/engine/steps/strassen_products.h"

namespace marrow::engine {
namespace {

// From where on it was faster than the plain product,
constexpr int64_t kFewestChannels = 512;
constexpr int64_t kFewestPixels = 28;
// and two levels than one.
constexpr int64_t kFewestWeightsOfTwo = 512 * 1024;
constexpr int64_t kPackedBlocks =
    8;  // of channels of all pixels at a time: their sources are read in long runs
// A few long tasks take as long as the thread with one more: so many threads have equally many.
constexpr int64_t kEvenChunks = 4;
// By how much the thread with most may have more to do than the others.
constexpr double kUneven = 1.1;

int levels_for(const ConvDescription& conv) {
  const int lanes = conv.kernels->lanes;
  const bool quarters = conv.src.channels % (4 * lanes) == 0 && conv.dst.channels % (4 * lanes) == 0 &&
                        conv.dst.pixels() % 4 == 0;
  return quarters && int64_t{conv.src.channels} * conv.dst.channels >= kFewestWeightsOfTwo ? 2 : 1;
}

// Of a task's groups: each packs all of the task's pixels again, so as few as keep the threads equally busy.
int64_t fewest_parts(int64_t tasks, int64_t threads, int64_t groups) {
  for (int64_t parts = 1; parts < groups; ++parts) {
    const int64_t all = tasks * parts, longest = (all + threads - 1) / threads;
    if (static_cast<double>(longest * threads) <= kUneven * static_cast<double>(all)) return parts;
  }
  return groups;
}

// An image's pixels are cut without regard to the threads: the numbers depend on which part a pixel is in.
int64_t chunks_of(const ConvDescription& conv, int levels) {
  const int64_t parts = int64_t{1} << levels, pixels = conv.dst.pixels() / parts;
  const int64_t tile = conv.kernels->tile_pixels;
  const int64_t packed_bytes = std::min(conv.src.channels / parts, kPackedChannels) * int64_t{sizeof(float)};
  const int64_t wanted = std::max<int64_t>(cpu::cache_bytes(2) / 4 / packed_bytes / tile, 1) * tile;
  const int64_t chunks = (pixels + wanted - 1) / wanted;
  return chunks > kEvenChunks ? chunks - chunks % kEvenChunks : chunks;
}

class Strassen final : public Step {
 public:
  Strassen(const ConvDescription& conv, int levels);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("strassen 1x1/1{}{}", parts_ > 2 ? " twice" : "", to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override { return most_pixels_ * std::min(channels_, kPackedChannels); }

 private:
  void pack();
  void pack_group(size_t product, size_t g);
  // Pixels that are computed together, `parts_` times those of the tiles, for some groups of outputs.
  struct Task {
    int64_t image, first;
    PackedTiles tiles;
    size_t first_group, end_group;
  };
  void run_task(const RunContext& context, const Task& task, float* packed) const;
  // The sum of parts of A, of some input channels.
  void pack_pixels(const RunContext& context, const Task& task, const StrassenSum& sum, int64_t channel,
                   float* packed) const;

  // One product, of some input channels.
  void multiply(const RunContext& context, const Task& task, size_t product, int64_t channel,
                const float* packed) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  std::span<const StrassenProduct> products_;
  int64_t parts_;                    // that pixels, channels and outputs are cut into
  int64_t in_blocks_, out_blocks_;   // of a part
  int64_t channels_;                 // of a part of the input
  int64_t chunks_;                   // that an image's pixels are cut into
  int64_t most_pixels_ = 0;          // of a chunk's part
  int64_t group_parts_ = 1;          // tasks that a chunk's groups are cut into
  std::vector<OutputGroup> groups_;  // of a part of the output channels
  std::vector<int64_t> weights_at_;  // of each group in a product's weights
  int64_t product_weights_ = 0;
  Tensor weights_, bias_;  // weights: [product][group][channel][width]
};

Strassen::Strassen(const ConvDescription& conv, int levels)
    : conv_(conv),
      kernels_(*conv.kernels),
      products_(strassen_products(levels)),
      parts_(int64_t{1} << levels),
      in_blocks_(conv.src.channels / kernels_.lanes / parts_),
      out_blocks_(conv.dst.channels / kernels_.lanes / parts_),
      channels_(in_blocks_ * kernels_.lanes),
      chunks_(chunks_of(conv, levels)),
      groups_(group_outputs(conv.dst.channels / static_cast<int>(parts_), kernels_)) {
  const int64_t pixels = conv.dst.pixels() / parts_;
  most_pixels_ = (pixels + chunks_ - 1) / chunks_;
  group_parts_ =
      fewest_parts(chunks_ * conv.dst.images, conv.pool->threads(), static_cast<int64_t>(groups_.size()));
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(product_weights_);
    product_weights_ += channels_ * group.width();
  }
  bias_ = Tensor({parts_ * out_blocks_ * kernels_.lanes});
  std::ranges::copy(conv_.bias, bias_.values().begin());
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

void Strassen::pack() {
  const auto products = static_cast<int64_t>(products_.size());
  weights_ = Tensor({products * product_weights_});
  const auto groups = static_cast<int64_t>(groups_.size());
  conv_.pool->parallel_for(products * groups, [&](int64_t task, int) {
    pack_group(static_cast<size_t>(task / groups), static_cast<size_t>(task % groups));
  });
}

void Strassen::pack_group(size_t product, size_t g) {
  const OutputGroup& group = groups_[g];
  const int64_t all_channels = parts_ * channels_;
  float* packed =
      weights_.values().data() + static_cast<int64_t>(product) * product_weights_ + weights_at_[g];
  const StrassenSum& sum = products_[product].b;
  std::array<const float*, kMostStrassenParts> first;
  std::array<float, kMostStrassenParts> sign = {};
  for (size_t i = 0; i < first.size(); ++i) {
    const StrassenPart& part = sum.parts[i];  // those beyond the count have no sign
    first[i] = conv_.weight.data() + part.column * out_blocks_ * kernels_.lanes * all_channels +
               part.row * channels_;
    sign[i] = part.sign;
  }
  const auto pack_all = [&](const auto& weight) {
    pack_weights(group, conv_.dst.channels / parts_, channels_, weight, packed);
  };
  if (sum.count <= 2)
    pack_all([&](int64_t output, int64_t c) {
      const int64_t at = output * all_channels + c;
      return sign[0] * first[0][at] + sign[1] * first[1][at];
    });
  else
    pack_all([&](int64_t output, int64_t c) {
      const int64_t at = output * all_channels + c;
      return sign[0] * first[0][at] + sign[1] * first[1][at] + sign[2] * first[2][at] +
             sign[3] * first[3][at];
    });
}

void Strassen::run(const RunContext& context) const {
  const int64_t pixels = conv_.dst.pixels();
  const auto groups = static_cast<int64_t>(groups_.size());
  context.pool->parallel_for(conv_.dst.images * chunks_ * group_parts_, [&](int64_t index, int thread) {
    const int64_t part = index % group_parts_;
    const int64_t chunk = index / group_parts_ % chunks_;
    const int64_t first = chunk * (pixels / parts_) / chunks_,
                  end = (chunk + 1) * (pixels / parts_) / chunks_;
    Task task{index / group_parts_ / chunks_, parts_ * first, PackedTiles(end - first, kernels_.tile_pixels),
              static_cast<size_t>(part * groups / group_parts_),
              static_cast<size_t>((part + 1) * groups / group_parts_)};
    run_task(context, task, context.thread_scratch(thread));
    if (chunk + 1 < chunks_ || pixels % parts_ == 0) return;
    // Those left over, and some before them again.
    task.first = pixels - parts_;
    task.tiles = PackedTiles(1, kernels_.tile_pixels);
    run_task(context, task, context.thread_scratch(thread));
  });
}

void Strassen::run_task(const RunContext& context, const Task& task, float* packed) const {
  for (size_t product = 0; product < products_.size(); ++product)
    for (int64_t channel = 0; channel < channels_; channel += kPackedChannels) {
      pack_pixels(context, task, products_[product].a, channel, packed);
      multiply(context, task, product, channel, packed);
    }
}

void Strassen::pack_pixels(const RunContext& context, const Task& task, const StrassenSum& sum,
                           int64_t channel, float* packed) const {
  const int64_t lanes = kernels_.lanes;
  const PackedTiles& tiles = task.tiles;
  const int64_t blocks = std::min(kPackedChannels, channels_ - channel) / lanes;
  const float* map = context.read(conv_.src) + task.image * conv_.src.image_stride + task.first * lanes;
  PackPixelsArgs args{};
  args.count = static_cast<int>(sum.count);
  args.src_block = conv_.src.block_floats(kernels_.lanes);
  for (int64_t block = 0; block < blocks; block += args.blocks) {
    args.blocks = std::min(kPackedBlocks, blocks - block);
    for (int64_t tile = 0; tile < tiles.count(); ++tile) {
      for (size_t i = 0; i < sum.count; ++i) {
        const StrassenPart& part = sum.parts[i];
        args.src[i] = map + (part.column * in_blocks_ + channel / lanes + block) * args.src_block +
                      (part.row * tiles.pixels() + tiles.first(tile)) * lanes;
        args.factor[i] = part.sign;
      }
      args.pixels = static_cast<int>(tiles.pixels(tile));
      args.dst = packed + (tiles.first(tile) * blocks + block * args.pixels) * lanes;
      kernels_.pack_pixels(args);
    }
  }
}

void Strassen::multiply(const RunContext& context, const Task& task, size_t product, int64_t channel,
                        const float* packed) const {
  const float* weights = weights_.values().data() + static_cast<int64_t>(product) * product_weights_;
  const auto weights_of = [&](size_t g) { return weights + weights_at_[g] + channel * groups_[g].width(); };
  const bool last = channel + kPackedChannels >= channels_;
  PackedProduct factors{&task.tiles, packed, std::min(kPackedChannels, channels_ - channel), nullptr,
                        nullptr};
  for (size_t g = task.first_group; g < task.end_group; ++g) {
    factors.weights = weights_of(g);
    factors.next = g + 1 < task.end_group ? weights_of(g + 1) : nullptr;
    const auto place_of = [&](const StrassenPart& part) {
      return TilePlace{task.image, part.column * out_blocks_ + groups_[g].first_block, groups_[g].vectors(),
                       task.first + part.row * task.tiles.pixels(), task.tiles.pixels()};
    };
    std::array<PackedResult, kMostPackedResults> results{};
    size_t count = 0;
    for (const StrassenPart& part : products_[product].c.all()) {
      const TilePlace place = place_of(part);
      const bool fresh = channel == 0 && part.begins;
      results[count++] = {place.in(conv_.dst, context.write(conv_.dst), kernels_.lanes), part.sign,
                          fresh ? bias_.values().data() + place.block * kernels_.lanes : nullptr};
    }
    add_packed(kernels_, groups_[g], factors, {results.data(), count},
               conv_.dst.block_floats(kernels_.lanes));
    for (const StrassenPart& part : products_[product].c.all())
      if (part.ends && last) finish_tile(context, conv_, place_of(part));
  }
}

}  // namespace

bool accepts_strassen(const ConvDescription& conv) {
  const int lanes = conv.kernels->lanes;
  return accepts_pointwise(conv) && conv.scattered.empty() && conv.src.channels >= kFewestChannels &&
         conv.dst.channels >= kFewestChannels && conv.src.channels % (2 * lanes) == 0 &&
         conv.dst.channels % (2 * lanes) == 0 && conv.dst.pixels() >= kFewestPixels;
}

// By two levels, and cut into tasks that share no packing, it was faster wherever it was measured. A part of
// the pixels, which is all that a trial of a large layer has, is cut into fewer.
bool has_rivals_of_strassen(const ConvDescription& conv) {
  const int levels = levels_for(conv);
  return levels == 1 || fewest_parts(chunks_of(conv, levels) * conv.dst.images, conv.pool->threads(), 2) > 1;
}

StepPtr make_strassen(const ConvDescription& conv) {
  return std::make_unique<Strassen>(conv, levels_for(conv));
}

}  // namespace marrow::engine
