// 3x3 convolutions of bfloat16 by Winograd's minimal filtering, F(4x4, 3x3): a quarter of the
// multiplications. Stride 2 is
// not here: its 81 products for 144 do not pay for the transforms.
//
// As in winograd.cpp, a task takes some tiles of the output and keeps what lies between the transforms in the
// second-level cache. Patches are widened, transformed in float32, and rounded to bfloat16 again; the
// products of each of the 36 places are a 1x1 convolution of the tiles (kernels/low_precision.h), with sums
// in float32; these are transformed in float32.
#include <fmt/format.h>

#include <array>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/low_precision_epilogue.h"
#include "marrow/engine/steps/low_precision_weights.h"
#include "marrow/engine/steps/winograd_tiles.h"

namespace marrow::engine {
namespace {

using winograd::kTile;
using Form = winograd::Unit;
// Tiles of a row that get their epilogue together: their pixels stay in the first-level cache.
constexpr int64_t kRunTiles = 8;

class LowPrecisionWinograd final : public Step {
 public:
  explicit LowPrecisionWinograd(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("bf16 {} winograd 3x3/1 {} tiles{}", low_precision_.name, tiles_.count(),
                       to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override {
    return inputs_floats() + products_floats() + (kTile + 1) * row_floats();
  }

 private:
  static constexpr int kProducts = Form::kProducts * Form::kProducts;

  int64_t inputs_floats() const { return kProducts * in_blocks_ * tiles_.most() * lanes_ / 2; }
  int64_t products_floats() const { return kProducts * low_precision_.tile_vectors * tiles_.most() * lanes_; }
  int64_t row_floats() const { return kRunTiles * kTile * lanes_; }

  void pack();
  void transform_inputs(const RunContext& context, const WinogradTask& task, uint16_t* inputs) const;
  void multiply(int64_t group, int64_t count, const uint16_t* inputs, float* products) const;
  void finish(const RunContext& context, const WinogradTask& task, int64_t group, const float* products,
              float* rows) const;
  void finish_run(const RunContext& context, const WinogradTask& task, int64_t tile, int64_t end,
                  int64_t block, const float* products, float* rows) const;
  int vectors(int64_t group) const {
    return static_cast<int>(
        std::min<int64_t>(low_precision_.tile_vectors, out_blocks_ - group * low_precision_.tile_vectors));
  }

  ConvDescription conv_;
  const Kernels& kernels_;
  const LowPrecisionKernels& low_precision_;
  const int lanes_;
  const int64_t in_blocks_, out_blocks_;
  WinogradTiles tiles_;
  std::array<LowPrecisionWeights, kProducts> weights_;  // of each product, as of a 1x1 convolution
  Tensor bias_;                                         // [output channel], whole blocks
  Tensor zero_;                                         // rows outside the map, in bfloat16
};

LowPrecisionWinograd::LowPrecisionWinograd(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      low_precision_(kernels_.bfloat16),
      lanes_(kernels_.lanes),
      in_blocks_(conv.src.blocks(lanes_)),
      out_blocks_(conv.dst.blocks(lanes_)),
      tiles_(conv,
             kProducts * lanes_ *
                 (in_blocks_ * element_bytes(Element::kBfloat16) +
                  low_precision_.tile_vectors * element_bytes(Element::kFloat32)),
             low_precision_.tile_pixels,
             (out_blocks_ + low_precision_.tile_vectors - 1) / low_precision_.tile_vectors),
      bias_({out_blocks_ * lanes_}),
      zero_({patch_columns<Form>(kRunTiles) * lanes_}) {
  std::ranges::copy(conv.bias, bias_.values().begin());
  pack();
  conv_.weight = {};  // packed; the caller's may go
  conv_.bias = {};
  conv_.pool = nullptr;
}

void LowPrecisionWinograd::pack() {
  const int64_t kernels = conv_.dst.channels * int64_t{conv_.src.channels};
  Tensor transformed({kProducts, kernels});
  float* values = transformed.values().data();
  conv_.pool->parallel_for(conv_.dst.channels, [&](int64_t out, int) {
    for (int64_t i = out * conv_.src.channels; i < (out + 1) * conv_.src.channels; ++i) {
      const auto products = winograd::transform_weights<Form>(conv_.weight.data() + i * 9);
      for (size_t p = 0; p < products.size(); ++p)
        values[static_cast<int64_t>(p) * kernels + i] = static_cast<float>(products[p]);
    }
  });
  ConvDescription product = conv_;
  product.kernel = 1;
  product.bias = {};
  for (size_t p = 0; p < weights_.size(); ++p) {
    product.weight =
        transformed.values().subspan(p * static_cast<size_t>(kernels), static_cast<size_t>(kernels));
    weights_[p] = pack_low_precision_weights(product, low_precision_.tile_vectors);
  }
}

void LowPrecisionWinograd::run(const RunContext& context) const {
  context.pool->parallel_for(tiles_.tasks(), [&](int64_t index, int thread) {
    float* scratch = context.thread_scratch(thread);
    auto* inputs = reinterpret_cast<uint16_t*>(scratch);
    float* products = scratch + inputs_floats();
    const WinogradTask task = tiles_.task(index);
    transform_inputs(context, task, inputs);
    for (int64_t group = task.first_group; group < task.last_group; ++group) {
      multiply(group, task.count, inputs, products);
      finish(context, task, group, products, products + products_floats());
    }
  });
}

// inputs: [input block][product][tile], blocks apart by as many tiles as a task has at most
void LowPrecisionWinograd::transform_inputs(const RunContext& context, const WinogradTask& task,
                                            uint16_t* inputs) const {
  const View& src = conv_.src;
  const auto* map =
      reinterpret_cast<const uint16_t*>(context.low_precision(src)) + task.image * src.image_stride;
  const auto* zeros = reinterpret_cast<const uint16_t*>(zero_.values().data());
  WinogradInputArgs<uint16_t> args;
  args.dst_step = task.count * lanes_;
  for (int64_t tile = 0; tile < task.count; tile += args.tiles) {
    const int64_t y = tiles_.y(task.first + tile) - conv_.pad_y.before;
    const int64_t x = tiles_.x(task.first + tile) - conv_.pad_x.before;
    args.tiles =
        static_cast<int>(std::min({task.count - tile, tiles_.left_in_row(task.first + tile), kRunTiles}));
    for (int64_t block = 0; block < in_blocks_; ++block) {
      point_at_patches<Form>(src, map + block * src.block_floats(lanes_), y, x, lanes_, zeros, args);
      args.dst = inputs + (block * kProducts * tiles_.most() + tile) * lanes_;
      kernels_.winograd_bfloat16_input(args);
    }
  }
}

// products: [output block][product][tile], as above
void LowPrecisionWinograd::multiply(int64_t group, int64_t count, const uint16_t* inputs,
                                    float* products) const {
  const int64_t most = low_precision_.any_pixels ? count : low_precision_.tile_pixels;
  const int64_t segments = (count + most - 1) / most;
  LowPrecisionTileArgs args = {};
  args.rows = args.taps = 1;
  args.blocks = static_cast<int>(in_blocks_);
  args.vectors = vectors(group);
  args.dwords = lanes_ / dword_channels(Element::kBfloat16);
  args.src_pixel = int64_t{lanes_} * element_bytes(Element::kBfloat16);
  args.src_block = kProducts * tiles_.most() * args.src_pixel;
  args.dst_block = kProducts * tiles_.most() * lanes_;
  for (size_t product = 0; product < weights_.size(); ++product) {
    const LowPrecisionWeights& weights = weights_[product];
    args.weights = weights.weights.bytes() + group * weights.group_bytes;
    args.last_dwords = weights.last_dwords;
    args.bias = weights.bias.values().data();
    for (int64_t segment = 0; segment < segments; ++segment) {
      const int64_t tile = segment * count / segments;
      const int64_t first = static_cast<int64_t>(product) * count + tile;
      args.pixels = static_cast<int>((segment + 1) * count / segments - tile);
      args.src = reinterpret_cast<const uint8_t*>(inputs + first * lanes_);
      args.dst = products + first * lanes_;
      low_precision_.tile(args);
    }
  }
}

void LowPrecisionWinograd::finish(const RunContext& context, const WinogradTask& task, int64_t group,
                                  const float* products, float* rows) const {
  for (int vector = 0; vector < vectors(group); ++vector)
    for (int64_t tile = 0, end = 0; tile < task.count; tile = end) {
      end = std::min({task.count, tile + tiles_.left_in_row(task.first + tile), tile + kRunTiles});
      finish_run(context, task, tile, end, group * low_precision_.tile_vectors + vector,
                 products + vector * kProducts * tiles_.most() * lanes_, rows);
    }
}

// Of tiles that are neighbours in a row of the map, one output block.
void LowPrecisionWinograd::finish_run(const RunContext& context, const WinogradTask& task, int64_t tile,
                                      int64_t end, int64_t block, const float* products, float* rows) const {
  const View& dst = conv_.dst;
  const int64_t y = tiles_.y(task.first + tile);
  const int64_t x = tiles_.x(task.first + tile);
  const int64_t width = std::min((end - tile) * kTile, dst.width - x);
  TilePlace place{task.image, block, 1, y * dst.width + x, width};

  WinogradOutputArgs args;
  args.src_step = task.count * lanes_;
  args.bias = bias_.values().data() + block * lanes_;
  args.rows = static_cast<int>(std::min<int64_t>(kTile, dst.height - y));
  float* values = rows;
  args.dst_row = row_floats();
  if (dst.element == Element::kFloat32) {
    values = place.in(dst, context.write(dst), lanes_);
    args.dst_row = dst.width * lanes_;
  }
  args.columns = static_cast<int>(width);
  args.src = products + tile * lanes_;
  args.dst = values;
  kernels_.winograd[0].output(args);
  for (int row = 0; row < args.rows; ++row, place.pixel += dst.width)
    finish_low_precision_tile(context, conv_, place, values + row * args.dst_row, 0,
                              rows + kTile * row_floats());
}

}  // namespace

// With fewer channels, or on smaller maps, the transforms take longer than the products that they save. At
// and above these bounds 1.0 to 3 times faster on Zen 4: a rule, so that results do not depend on what is
// measured.
bool accepts_low_precision_winograd(const ConvDescription& conv) {
  constexpr int kLeastChannels = 16;
  constexpr int64_t kLeastPixels = 49;
  return conv.src.element == Element::kBfloat16 && conv.kernel == 3 && conv.stride == 1 &&
         conv.dilation == 1 && conv.groups == 1 && conv.src.channels >= kLeastChannels &&
         conv.dst.pixels() >= kLeastPixels;
}

StepPtr make_low_precision_winograd(const ConvDescription& conv) {
  return std::make_unique<LowPrecisionWinograd>(conv);
}

}  // namespace marrow::engine
