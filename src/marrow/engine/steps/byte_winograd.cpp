// 3x3 convolutions of bytes and of stride 1 by Winograd's minimal filtering in whole numbers
// (kernels/byte_winograd.h): a quarter of the multiplications, and the same sums as the direct way.
#include <algorithm>
#include <cstring>

#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/low_precision_winograd.h"

namespace marrow::engine {
namespace {

using winograd::kTile;

std::span<const float> weights_of_output(const ConvDescription& conv, int64_t output) {
  const auto count = static_cast<size_t>(conv.src.channels) * 9;
  return conv.weight.subspan(static_cast<size_t>(output) * count, count);
}

class ByteWinogradConv final : public LowPrecisionWinograd {
 public:
  explicit ByteWinogradConv(const ConvDescription& conv);

 private:
  static_assert(kProducts == ByteWinograd::kProducts * ByteWinograd::kProducts);

  // From one product's numbers to the next: a cache line further, lest all fall into one set of the
  // first-level cache.
  int64_t input_step(int64_t tiles) const { return tiles * tile_words_ + 32; }
  int64_t inputs_floats() const override { return kProducts * input_step(tiles_.most()) / 2; }
  int64_t group_outputs() const { return int64_t{low_precision_.tile_vectors} * lanes_; }
  int64_t group_bytes() const { return kProducts * dwords_ * 4 * group_outputs(); }
  void pack(const ConvDescription& conv, int64_t output);
  void transform_inputs(const RunContext& context, const WinogradTask& task, void* inputs) const override;
  void multiply(int64_t group, int64_t count, const void* inputs, float* products) const override;
  void transform_results(const WinogradOutputArgs& args, int64_t block) const override;

  const int64_t dwords_;  // of a tile that hold channels
  Tensor weights_;        // [group][product][dword][output][channel of the dword] int16
  Tensor start_;          // of the constant product, int32; then as many zeros as a group needs
  Tensor scale_;          // [output channel], whole blocks
};

// A transformed tile has all channels of pairs of blocks.
ByteWinogradConv::ByteWinogradConv(const ConvDescription& conv)
    : LowPrecisionWinograd(conv, (conv.src.blocks(conv.kernels->lanes) + 1) / 2 * 2 * conv.kernels->lanes),
      dwords_((conv.src.channels + 1) / 2),
      weights_({groups() * group_bytes()}, DType::kUInt8),
      start_({(groups() + 1) * group_outputs()}, DType::kInt32),
      scale_({out_blocks_ * lanes_}) {
  conv.pool->parallel_for(conv.dst.channels, [&](int64_t output, int) { pack(conv, output); });
}

void ByteWinogradConv::pack(const ConvDescription& conv, int64_t output) {
  const std::span<const float> row = weights_of_output(conv, output);
  const float scale = weight_scale(row);
  const int64_t group = output / group_outputs();
  const int64_t width = vectors(group) * int64_t{lanes_};
  uint8_t* packed = weights_.values<uint8_t>().data() + group * group_bytes();
  int32_t sum = 0;
  for (int64_t channel = 0; channel < conv.src.channels; ++channel) {
    int g[9];
    for (int i = 0; i < 9; ++i) sum += g[i] = weight_byte(row[static_cast<size_t>(channel * 9 + i)], scale);
    int half[ByteWinograd::kProducts][3] = {};
    for (int i = 0; i < ByteWinograd::kProducts; ++i)
      for (int x = 0; x < 3; ++x)
        for (int y = 0; y < 3; ++y) half[i][x] += ByteWinograd::kWeight[i][y] * g[3 * y + x];
    for (int64_t i = 0; i < ByteWinograd::kProducts; ++i)
      for (int64_t j = 0; j < ByteWinograd::kProducts; ++j) {
        int product = 0;
        for (int x = 0; x < 3; ++x) product += half[i][x] * ByteWinograd::kWeight[j][x];
        const auto word = static_cast<int16_t>(product);
        const int64_t dword = (ByteWinograd::kProducts * i + j) * dwords_ + channel / 2;
        std::memcpy(packed + (dword * width + output % group_outputs()) * 4 + channel % 2 * 2, &word, 2);
      }
  }
  // All bytes less the zero point: that much less in the one product of a patch of zero points.
  start_.values<int32_t>()[static_cast<size_t>(output)] =
      static_cast<int32_t>(static_cast<uint32_t>(-conv.src.scale.zero_point * ByteWinograd::kConstant) *
                           static_cast<uint32_t>(sum));
  scale_.values()[static_cast<size_t>(output)] = conv.src.scale.scale * scale;
}

// inputs: [product][tile][channel]
void ByteWinogradConv::transform_inputs(const RunContext& context, const WinogradTask& task,
                                        void* inputs) const {
  const View& src = conv_.src;
  const uint8_t* map = context.low_precision(src) + task.image * src.image_stride;
  ByteWinogradInputArgs args;
  args.src_row = src.width * lanes_;
  args.src_block = src.block_floats(lanes_);
  args.blocks = static_cast<int>(in_blocks_);
  args.zero_point = static_cast<uint8_t>(src.scale.zero_point);
  args.dst_step = input_step(task.count);
  const auto clip = [](int64_t at, int64_t size, int& first, int& end) {
    first = static_cast<int>(std::clamp<int64_t>(-at, 0, ByteWinograd::kPatch));
    end = static_cast<int>(std::clamp<int64_t>(size - at, first, ByteWinograd::kPatch));
  };
  for (int64_t tile = 0; tile < task.count; ++tile) {
    const int64_t y = tiles_.y(task.first + tile) - conv_.pad_y.before;
    const int64_t x = tiles_.x(task.first + tile) - conv_.pad_x.before;
    clip(y, src.height, args.first_row, args.end_row);
    clip(x, src.width, args.first_column, args.end_column);
    args.src = map + (y * src.width + x) * lanes_;
    args.dst = static_cast<int16_t*>(inputs) + tile * tile_words_;
    kernels_.byte_winograd.input(args);
  }
}

// products: int32
void ByteWinogradConv::multiply(int64_t group, int64_t count, const void* inputs, float* products) const {
  const auto starts = start_.values<int32_t>();
  LowPrecisionTileArgs args = {};
  args.rows = args.taps = args.blocks = 1;
  args.pixels = static_cast<int>(count);
  args.vectors = vectors(group);
  args.dwords = args.last_dwords = static_cast<int>(dwords_);
  args.src_pixel = tile_words_ * 2;
  args.dst_block = products_block();
  const std::byte* weights = weights_.bytes() + group * group_bytes();
  for (int product = 0; product < kProducts; ++product, weights += dwords_ * 4 * args.vectors * lanes_) {
    args.weights = weights;
    args.start = product == ByteWinograd::kConstantProduct
                     ? starts.data() + group * group_outputs()
                     : starts.last(static_cast<size_t>(group_outputs())).data();
    args.src = static_cast<const uint8_t*>(inputs) + product * input_step(count) * 2;
    args.dst = products + product * count * lanes_;
    kernels_.byte_winograd.multiply(args);
  }
}

void ByteWinogradConv::transform_results(const WinogradOutputArgs& run, int64_t block) const {
  ByteWinogradOutputArgs args;
  args.src = reinterpret_cast<const int32_t*>(run.src);
  args.src_step = run.src_step;
  args.scale = scale_.values().data() + block * lanes_;
  args.bias = run.bias;
  args.dst = run.dst;
  args.dst_row = run.dst_row;
  args.rows = run.rows;
  for (int column = 0; column < run.columns; column += kTile) {
    args.columns = std::min(kTile, run.columns - column);
    kernels_.byte_winograd.output(args);
    args.src += lanes_;
    args.dst += kTile * lanes_;
  }
}

// Whether the sums of all outputs are small enough, whatever the bytes are.
bool sums_fit_26_bits(const ConvDescription& conv) {
  if (int64_t{conv.src.channels} * 9 * 255 * 127 <= ByteWinograd::kMostSum) return true;
  const int64_t zero = conv.src.scale.zero_point;
  for (int64_t output = 0; output < conv.dst.channels; ++output) {
    const std::span<const float> row = weights_of_output(conv, output);
    const float scale = weight_scale(row);
    int64_t above = 0, below = 0;
    for (const float weight : row) {
      const int64_t byte = weight_byte(weight, scale);
      (byte > 0 ? above : below) += byte;
    }
    if ((255 - zero) * above - zero * below > ByteWinograd::kMostSum ||
        (255 - zero) * below - zero * above < -ByteWinograd::kMostSum)
      return false;
  }
  return true;
}

}  // namespace

bool accepts_byte_winograd(const ConvDescription& conv) {
  return conv.src.element == Element::kByte && conv.kernels->byte_winograd.input != nullptr &&
         conv.kernel == 3 && conv.stride == 1 && conv.dilation == 1 && conv.groups == 1 &&
         sums_fit_26_bits(conv);
}

StepPtr make_byte_winograd(const ConvDescription& conv) {
  return std::make_unique<ByteWinogradConv>(conv);
}

}  // namespace marrow::engine
