// 3x3 convolutions of bfloat16 by Winograd's minimal filtering, F(4x4, 3x3): a quarter of the
// multiplications.
//
// Patches are widened, transformed in float32, and rounded to bfloat16 again; the products of each of the 36
// places are a 1x1 convolution of the tiles (kernels/low_precision.h), with sums in float32; these are
// transformed in float32.
#include <algorithm>
#include <array>

#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/low_precision_weights.h"
#include "marrow/engine/steps/low_precision_winograd.h"

namespace marrow::engine {
namespace {

class Bfloat16WinogradConv final : public LowPrecisionWinograd {
 public:
  explicit Bfloat16WinogradConv(const ConvDescription& conv);

 private:
  using Form = winograd::Unit;

  // Numbers from one input block to the next: [input block][product][tile].
  int64_t input_block() const { return kProducts * tiles_.most() * lanes_; }
  int64_t inputs_floats() const override { return in_blocks_ * input_block() / 2; }
  void pack(const ConvDescription& conv);
  void transform_inputs(const RunContext& context, const WinogradTask& task, void* inputs) const override;
  void multiply(int64_t group, int64_t count, const void* inputs, float* products) const override;
  void transform_results(const WinogradOutputArgs& args, int64_t block) const override;

  std::array<LowPrecisionWeights, kProducts> weights_;  // of each product, as of a 1x1 convolution
  Tensor zero_;                                         // rows outside the map, in bfloat16
};

Bfloat16WinogradConv::Bfloat16WinogradConv(const ConvDescription& conv)
    : LowPrecisionWinograd(conv, conv.src.blocks(conv.kernels->lanes) * conv.kernels->lanes),
      zero_({patch_columns<Form>(kRunTiles) * lanes_}) {
  pack(conv);
}

void Bfloat16WinogradConv::pack(const ConvDescription& conv) {
  const int64_t kernels = conv.dst.channels * int64_t{conv.src.channels};
  Tensor transformed({kProducts, kernels});
  float* values = transformed.values().data();
  conv.pool->parallel_for(conv.dst.channels, [&](int64_t out, int) {
    for (int64_t i = out * conv.src.channels; i < (out + 1) * conv.src.channels; ++i) {
      const auto products = winograd::transform_weights<Form>(conv.weight.data() + i * 9);
      for (size_t p = 0; p < products.size(); ++p)
        values[static_cast<int64_t>(p) * kernels + i] = static_cast<float>(products[p]);
    }
  });
  ConvDescription product = conv;
  product.kernel = 1;
  product.bias = {};
  for (size_t p = 0; p < weights_.size(); ++p) {
    product.weight =
        transformed.values().subspan(p * static_cast<size_t>(kernels), static_cast<size_t>(kernels));
    weights_[p] = pack_low_precision_weights(product, low_precision_.tile_vectors);
  }
}

void Bfloat16WinogradConv::transform_inputs(const RunContext& context, const WinogradTask& task,
                                            void* inputs) const {
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
      args.dst = static_cast<uint16_t*>(inputs) + block * input_block() + tile * lanes_;
      kernels_.winograd_bfloat16_input(args);
    }
  }
}

void Bfloat16WinogradConv::multiply(int64_t group, int64_t count, const void* inputs, float* products) const {
  const int64_t most = low_precision_.any_pixels ? count : low_precision_.tile_pixels;
  const int64_t segments = (count + most - 1) / most;
  LowPrecisionTileArgs args = {};
  args.rows = args.taps = 1;
  args.blocks = static_cast<int>(in_blocks_);
  args.vectors = vectors(group);
  args.dwords = lanes_ / dword_channels(Element::kBfloat16);
  args.src_pixel = int64_t{lanes_} * element_bytes(Element::kBfloat16);
  args.src_block = input_block() * element_bytes(Element::kBfloat16);
  args.dst_block = products_block();
  for (size_t product = 0; product < weights_.size(); ++product) {
    const LowPrecisionWeights& weights = weights_[product];
    args.weights = weights.weights.bytes() + group * weights.group_bytes;
    args.last_dwords = weights.last_dwords;
    args.bias = weights.bias.values().data();
    for (int64_t segment = 0; segment < segments; ++segment) {
      const int64_t tile = segment * count / segments;
      const int64_t first = static_cast<int64_t>(product) * count + tile;
      args.pixels = static_cast<int>((segment + 1) * count / segments - tile);
      args.src = static_cast<const uint8_t*>(inputs) + first * args.src_pixel;
      args.dst = products + first * lanes_;
      low_precision_.tile(args);
    }
  }
}

void Bfloat16WinogradConv::transform_results(const WinogradOutputArgs& args, int64_t) const {
  kernels_.winograd[0].output(args);
}

}  // namespace

// With fewer channels, or on smaller maps, the transforms take longer than the products that they save. At
// and above these bounds 1.0 to 3 times faster on Zen 4: a rule, so that results do not depend on what is
// measured.
bool accepts_bfloat16_winograd(const ConvDescription& conv) {
  constexpr int kLeastChannels = 16;
  constexpr int64_t kLeastPixels = 49;
  return conv.src.element == Element::kBfloat16 && conv.kernel == 3 && conv.stride == 1 &&
         conv.dilation == 1 && conv.groups == 1 && conv.src.channels >= kLeastChannels &&
         conv.dst.pixels() >= kLeastPixels;
}

StepPtr make_bfloat16_winograd(const ConvDescription& conv) {
  return std::make_unique<Bfloat16WinogradConv>(conv);
}

}  // namespace marrow::engine
