// 3x3 convolutions by Winograd's minimal filtering: a quarter of the multiplications for stride 1, little
// more than half for stride 2 (kernels/winograd_points.h).
//
// The output is cut into tiles of 4 x 4 pixels. The patches of input under some neighbouring tiles become so
// many numbers a channel, the products; for each product, tiles times input channels times output channels is
// a matrix product, whose tiles lie packed (steps/packed_product.h); the results become the tiles' pixels.
// Either a thread does all this for a few tiles, and what lies between stays in its second-level cache; or
// many tiles are done at a time and all threads share each of the three stages: then weights are read more
// rarely, which counts where they are large and tiles few. Each output number is one chain of operations that
// does not depend on any of this.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/tensor.h"
#include "marrow/cpu/caches.h"
#include "marrow/engine/steps/packed_product.h"
#include "marrow/engine/steps/winograd_tiles.h"

namespace marrow::engine {
namespace {

using winograd::kTile;

constexpr int64_t kFloatBytes = sizeof(float);
// Products lie apart by a line of the cache more, since multiples of a page would meet in one set of it.
constexpr int64_t kSpareFloats = 16;

struct Cut {
  int64_t chunks = 1;  // of an image's tiles
  bool shared = false;
};

// By the bytes that move from the third-level cache: the weights once a chunk, and what lies between the
// transforms of all tiles, `tile_bytes` each, unless it stays in the second-level cache.
Cut cut_tiles(int64_t tiles, int64_t tile_bytes, int64_t weight_bytes, const ConvDescription& conv) {
  const int64_t threads = conv.pool->threads(), images = conv.dst.images;
  const auto chunks_of = [&](int64_t bytes) {
    const int64_t pixels = conv.kernels->tile_pixels;
    const int64_t most = std::max<int64_t>(bytes / tile_bytes / pixels, 1) * pixels;
    return (tiles + most - 1) / most;
  };
  Cut own{chunks_of(cpu::cache_bytes(2) * 3 / 4), false};
  const Cut shared{chunks_of(cpu::cache_bytes(3) / 8), true};
  // Equal shares for all threads.
  if (own.chunks * images < 4 * threads) own.chunks = (own.chunks + threads - 1) / threads * threads;
  own.chunks = std::min(own.chunks, tiles);
  const bool too_few = own.chunks * images < threads;
  return too_few || (own.chunks - shared.chunks) * weight_bytes > tiles * tile_bytes ? shared : own;
}

template <class Form>
class Winograd final : public Step {
 public:
  explicit Winograd(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("winograd 3x3/{} {} tiles{}", Form::kStride, grid_.count(), to_string(conv_.epilogue));
  }
  int64_t shared_floats() const override { return cut_.shared ? work_floats() : 0; }
  int64_t scratch_floats() const override { return cut_.shared ? 0 : work_floats(); }

 private:
  static constexpr int kProducts = Form::kProducts * Form::kProducts;
  static constexpr int kClasses = Form::kClasses * Form::kClasses;

  // Some tiles of an image, and where what lies between is kept: inputs [product][packed tile], results
  // [product][output block][tile].
  struct Tiles {
    int64_t image, first;
    PackedTiles packed;
    float* inputs;
    float* results;
  };

  void pack();
  void pack_group(size_t g);
  Tiles tiles_of(int64_t image, int64_t chunk, float* work) const;
  void transform_inputs(const RunContext& context, const Tiles& tiles, int64_t packed_tile) const;
  void multiply(const Tiles& tiles, int64_t first, int64_t last) const;
  void transform_results(const RunContext& context, const Tiles& tiles, int64_t block) const;

  int64_t most_tiles() const { return (grid_.count() + cut_.chunks - 1) / cut_.chunks; }
  int64_t input_step() const { return most_tiles() * in_blocks_ * kernels_.lanes + kSpareFloats; }
  int64_t result_block() const { return most_tiles() * kernels_.lanes; }
  int64_t result_step() const { return out_blocks_ * result_block() + kSpareFloats; }
  int64_t work_floats() const { return kProducts * (input_step() + result_step()); }

  ConvDescription conv_;
  const Kernels& kernels_;
  const WinogradKernels& transforms_;
  int64_t in_blocks_, out_blocks_;
  std::vector<OutputGroup> groups_;
  WinogradGrid grid_;
  Cut cut_;
  std::vector<int64_t> weights_at_;  // of each group in a class's weights
  int64_t class_floats_ = 0;
  Tensor weights_;  // [class][group][input channel][width]
  Tensor bias_;     // [output channel], whole blocks
  Tensor zero_;     // the bias of the products, and rows outside the map
};

template <class Form>
Winograd<Form>::Winograd(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      transforms_(kernels_.winograd[Form::kStride - 1]),
      in_blocks_(conv.src.blocks(kernels_.lanes)),
      out_blocks_(conv.dst.blocks(kernels_.lanes)),
      groups_(group_outputs(conv.dst.channels, kernels_)),
      grid_(conv.dst) {
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(class_floats_);
    class_floats_ += conv_.src.channels * group.width();
  }
  cut_ = cut_tiles(grid_.count(), kProducts * (in_blocks_ + out_blocks_) * kernels_.lanes * kFloatBytes,
                   kClasses * class_floats_ * kFloatBytes, conv);
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

template <class Form>
void Winograd<Form>::pack() {
  weights_ = Tensor({kClasses * class_floats_});
  bias_ = Tensor({out_blocks_ * kernels_.lanes});
  zero_ = Tensor({patch_columns<Form>(kernels_.tile_pixels) * kernels_.lanes});
  std::ranges::copy(conv_.bias, bias_.values().begin());
  conv_.pool->parallel_for(static_cast<int64_t>(groups_.size()),
                           [&](int64_t g, int) { pack_group(static_cast<size_t>(g)); });
}

template <class Form>
void Winograd<Form>::pack_group(size_t g) {
  const OutputGroup& group = groups_[g];
  const int64_t inputs = conv_.src.channels;
  std::vector<const float*> kernels(static_cast<size_t>(group.width()), nullptr);
  for (size_t slot = 0; slot < kernels.size(); ++slot)
    if (const int64_t out = group.channel(static_cast<int64_t>(slot)); out < conv_.dst.channels)
      kernels[slot] = conv_.weight.data() + out * inputs * 9;
  WinogradWeightArgs args{};
  args.kernels = kernels.data();
  args.count = static_cast<int>(kernels.size());
  args.dst_step = class_floats_;
  for (int64_t in = 0; in < inputs; ++in) {
    args.offset = in * 9;
    args.dst = weights_.values().data() + weights_at_[g] + in * group.width();
    transforms_.weights(args);
  }
}

template <class Form>
void Winograd<Form>::run(const RunContext& context) const {
  const int64_t chunks = conv_.dst.images * cut_.chunks;
  if (!cut_.shared) {
    context.pool->parallel_for(chunks, [&](int64_t chunk, int thread) {
      const Tiles tiles = tiles_of(chunk / cut_.chunks, chunk % cut_.chunks, context.thread_scratch(thread));
      for (int64_t tile = 0; tile < tiles.packed.count(); ++tile) transform_inputs(context, tiles, tile);
      multiply(tiles, 0, kProducts);
      for (int64_t block = 0; block < out_blocks_; ++block) transform_results(context, tiles, block);
    });
    return;
  }
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const Tiles tiles = tiles_of(chunk / cut_.chunks, chunk % cut_.chunks, context.shared);
    context.pool->parallel_for(tiles.packed.count(),
                               [&](int64_t tile, int) { transform_inputs(context, tiles, tile); });
    context.pool->parallel_for(kProducts,
                               [&](int64_t product, int) { multiply(tiles, product, product + 1); });
    context.pool->parallel_for(out_blocks_,
                               [&](int64_t block, int) { transform_results(context, tiles, block); });
  }
}

template <class Form>
typename Winograd<Form>::Tiles Winograd<Form>::tiles_of(int64_t image, int64_t chunk, float* work) const {
  const int64_t first = chunk * grid_.count() / cut_.chunks;
  const int64_t end = (chunk + 1) * grid_.count() / cut_.chunks;
  return {image, first, PackedTiles(end - first, kernels_.tile_pixels), work,
          work + kProducts * input_step()};
}

template <class Form>
void Winograd<Form>::transform_inputs(const RunContext& context, const Tiles& tiles,
                                      int64_t packed_tile) const {
  const int lanes = kernels_.lanes;
  const View& src = conv_.src;
  const float* map = context.read(src) + tiles.image * src.image_stride;
  const int64_t begin = tiles.packed.first(packed_tile), end = tiles.packed.first(packed_tile + 1);
  WinogradInputArgs<float> args;
  args.dst_step = input_step();
  for (int64_t tile = begin; tile < end; tile += args.tiles) {
    const int64_t at = tiles.first + tile;
    args.tiles = static_cast<int>(std::min(end - tile, grid_.left_in_row(at)));
    for (int64_t block = 0; block < in_blocks_; ++block) {
      point_at_patches<Form>(
          src, map + block * src.block_floats(lanes), grid_.y(at) * Form::kStride - conv_.pad_y.before,
          grid_.x(at) * Form::kStride - conv_.pad_x.before, lanes, zero_.values().data(), args);
      args.dst = tiles.inputs + (begin * in_blocks_ + block * (end - begin) + tile - begin) * lanes;
      transforms_.input(args);
    }
  }
}

// Some products, in the order of their classes.
template <class Form>
void Winograd<Form>::multiply(const Tiles& tiles, int64_t first, int64_t last) const {
  PackedProduct product;
  product.tiles = &tiles.packed;
  product.channels = conv_.src.channels;
  for (int64_t p = first; p < last; ++p) {
    const auto [number, weights] = winograd::kProductsByClass<Form>[static_cast<size_t>(p)];
    product.src = tiles.inputs + number * input_step();
    for (size_t g = 0; g < groups_.size(); ++g) {
      const OutputGroup& group = groups_[g];
      product.weights = weights_.values().data() + weights * class_floats_ + weights_at_[g];
      product.next = product.weights + product.channels * group.width();
      multiply_packed(kernels_, group, product, zero_.values().data(),
                      tiles.results + number * result_step() + group.first_block * result_block(),
                      result_block());
    }
  }
}

template <class Form>
void Winograd<Form>::transform_results(const RunContext& context, const Tiles& tiles, int64_t block) const {
  const int lanes = kernels_.lanes;
  const View& dst = conv_.dst;
  WinogradOutputArgs args;
  args.src_step = result_step();
  args.dst_row = dst.width * lanes;
  args.bias = bias_.values().data() + block * lanes;
  // Tiles that are neighbours in a row of the map are transformed and get their epilogue together.
  for (int64_t tile = 0, end = 0; tile < tiles.packed.pixels(); tile = end) {
    const int64_t at = tiles.first + tile;
    end = std::min(tiles.packed.pixels(), tile + grid_.left_in_row(at));
    const int64_t y = grid_.y(at), x = grid_.x(at);
    args.rows = static_cast<int>(std::min<int64_t>(kTile, dst.height - y));
    args.columns = static_cast<int>(std::min((end - tile) * kTile, dst.width - x));
    args.src = tiles.results + block * result_block() + tile * lanes;
    TilePlace place{tiles.image, block, 1, y * dst.width + x, args.columns};
    args.dst = place.in(dst, context.write(dst), lanes);
    transforms_.output(args);
    for (int row = 0; row < args.rows; ++row, place.pixel += dst.width) finish_tile(context, conv_, place);
  }
}

}  // namespace

bool accepts_winograd(const ConvDescription& conv) {
  return conv.is_float32() && conv.kernel == 3 && conv.stride <= 2 && conv.dilation == 1 &&
         conv.groups == 1 && conv.src.layout == Layout::kBlocked;
}

StepPtr make_winograd(const ConvDescription& conv) {
  if (conv.stride == 1) return std::make_unique<Winograd<winograd::Unit>>(conv);
  return std::make_unique<Winograd<winograd::Strided>>(conv);
}

}  // namespace marrow::engine
