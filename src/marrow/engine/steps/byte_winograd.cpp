// 3x3 convolutions of bytes and of stride 1 by Winograd's minimal filtering in whole numbers
// (kernels/byte_winograd.h): a quarter of the multiplications, and the same sums as the direct way.
//
// As in winograd.cpp, a task takes some tiles of the output and keeps what lies between the transforms in the
// second-level cache.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/low_precision.h"
#include "marrow/engine/steps/low_precision_epilogue.h"
#include "marrow/engine/steps/winograd_tiles.h"

namespace marrow::engine {
namespace {

using winograd::kTile;

constexpr int kByteProducts = ByteWinograd::kProducts * ByteWinograd::kProducts;
// Tiles of a row that get their epilogue together: their pixels stay in the first-level cache.
constexpr int64_t kTilesTogether = 8;

std::span<const float> weights_of_output(const ConvDescription& conv, int64_t output) {
  const auto count = static_cast<size_t>(conv.src.channels) * 9;
  return conv.weight.subspan(static_cast<size_t>(output) * count, count);
}

class ByteWinogradConv final : public Step {
 public:
  explicit ByteWinogradConv(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override {
    return fmt::format("int8 {} winograd 3x3/1 {} tiles{}", low_precision_.name, tiles_.count(),
                       to_string(conv_.epilogue));
  }
  int64_t scratch_floats() const override {
    return inputs_floats() + products_floats() + (kTile + 1) * row_floats();
  }

 private:
  // Products lie a cache line further apart, lest all fall into one set of the first-level cache.
  int64_t input_step(int64_t tiles) const { return tiles * tile_words_ + 32; }
  int64_t inputs_floats() const { return kByteProducts * input_step(tiles_.most()) / 2; }
  int64_t products_floats() const {
    return kByteProducts * low_precision_.tile_vectors * tiles_.most() * lanes_;
  }
  int64_t row_floats() const { return kTilesTogether * kTile * lanes_; }
  int64_t group_bytes() const { return kByteProducts * dwords_ * 4 * low_precision_.tile_vectors * lanes_; }
  int vectors(int64_t group) const {
    return static_cast<int>(
        std::min<int64_t>(low_precision_.tile_vectors, out_blocks_ - group * low_precision_.tile_vectors));
  }

  void pack(int64_t output);
  void transform_inputs(const RunContext& context, const WinogradTask& task, int16_t* inputs) const;
  void multiply(int64_t group, int64_t count, const int16_t* inputs, float* products) const;
  void finish(const RunContext& context, const WinogradTask& task, int64_t group, const float* products,
              float* rows) const;
  void finish_run(const RunContext& context, const WinogradTask& task, int64_t tile, int64_t end,
                  int64_t block, const float* products, float* rows) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  const LowPrecisionKernels& low_precision_;
  const int lanes_;
  const int64_t in_blocks_, out_blocks_;
  const int64_t tile_words_;  // all channels of a transformed tile, pairs of blocks
  const int64_t dwords_;      // that hold channels
  WinogradTiles tiles_;
  Tensor weights_;       // [group][product][dword][output][channel of the dword] int16
  Tensor start_;         // of the constant product, int32; then as many zeros as a group needs
  Tensor scale_, bias_;  // [output channel], whole groups
};

ByteWinogradConv::ByteWinogradConv(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      low_precision_(kernels_.bytes),
      lanes_(kernels_.lanes),
      in_blocks_(conv.src.blocks(lanes_)),
      out_blocks_(conv.dst.blocks(lanes_)),
      tile_words_((in_blocks_ + 1) / 2 * 2 * lanes_),
      dwords_((conv.src.channels + 1) / 2),
      tiles_(conv, kByteProducts * (tile_words_ * 2 + lanes_ * low_precision_.tile_vectors * 4),
             low_precision_.tile_pixels,
             (out_blocks_ + low_precision_.tile_vectors - 1) / low_precision_.tile_vectors) {
  const int64_t group_outputs = int64_t{low_precision_.tile_vectors} * lanes_;
  const int64_t groups = (out_blocks_ + low_precision_.tile_vectors - 1) / low_precision_.tile_vectors;
  weights_ = Tensor({groups * group_bytes()}, DType::kUInt8);
  start_ = Tensor({(groups + 1) * group_outputs}, DType::kInt32);
  scale_ = Tensor({groups * group_outputs});
  bias_ = Tensor({groups * group_outputs});
  std::ranges::copy(conv.bias, bias_.values().begin());
  conv.pool->parallel_for(conv.dst.channels, [&](int64_t output, int) { pack(output); });
  conv_.weight = {};  // packed; the caller's may go
  conv_.bias = {};
  conv_.pool = nullptr;
}

void ByteWinogradConv::pack(int64_t output) {
  const std::span<const float> row = weights_of_output(conv_, output);
  const float scale = weight_scale(row);
  const int64_t group_outputs = int64_t{low_precision_.tile_vectors} * lanes_;
  const int64_t group = output / group_outputs;
  const int64_t width = vectors(group) * int64_t{lanes_};
  uint8_t* packed = weights_.values<uint8_t>().data() + group * group_bytes();
  int32_t sum = 0;
  for (int64_t channel = 0; channel < conv_.src.channels; ++channel) {
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
        std::memcpy(packed + (dword * width + output % group_outputs) * 4 + channel % 2 * 2, &word, 2);
      }
  }
  // All bytes less the zero point: that much less in the one product of a patch of zero points.
  start_.values<int32_t>()[static_cast<size_t>(output)] =
      static_cast<int32_t>(static_cast<uint32_t>(-conv_.src.scale.zero_point * ByteWinograd::kConstant) *
                           static_cast<uint32_t>(sum));
  scale_.values()[static_cast<size_t>(output)] = conv_.src.scale.scale * scale;
}

void ByteWinogradConv::run(const RunContext& context) const {
  context.pool->parallel_for(tiles_.tasks(), [&](int64_t index, int thread) {
    float* scratch = context.thread_scratch(thread);
    auto* inputs = reinterpret_cast<int16_t*>(scratch);
    float* products = scratch + inputs_floats();
    const WinogradTask task = tiles_.task(index);
    transform_inputs(context, task, inputs);
    for (int64_t group = task.first_group; group < task.last_group; ++group) {
      multiply(group, task.count, inputs, products);
      finish(context, task, group, products, products + products_floats());
    }
  });
}

// inputs: [product][tile][channel]
void ByteWinogradConv::transform_inputs(const RunContext& context, const WinogradTask& task,
                                        int16_t* inputs) const {
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
    args.dst = inputs + tile * tile_words_;
    kernels_.byte_winograd.input(args);
  }
}

// products: [output block][product][tile] int32
void ByteWinogradConv::multiply(int64_t group, int64_t count, const int16_t* inputs, float* products) const {
  const int64_t group_outputs = int64_t{low_precision_.tile_vectors} * lanes_;
  const auto starts = start_.values<int32_t>();
  LowPrecisionTileArgs args = {};
  args.rows = args.taps = args.blocks = 1;
  args.pixels = static_cast<int>(count);
  args.vectors = vectors(group);
  args.dwords = args.last_dwords = static_cast<int>(dwords_);
  args.src_pixel = tile_words_ * 2;
  args.dst_block = kByteProducts * tiles_.most() * lanes_;
  const std::byte* weights = weights_.bytes() + group * group_bytes();
  for (int product = 0; product < kByteProducts; ++product, weights += dwords_ * 4 * args.vectors * lanes_) {
    args.weights = weights;
    args.start = product == ByteWinograd::kConstantProduct
                     ? starts.data() + group * group_outputs
                     : starts.last(static_cast<size_t>(group_outputs)).data();
    args.src = reinterpret_cast<const uint8_t*>(inputs + product * input_step(count));
    args.dst = products + product * count * lanes_;
    kernels_.byte_winograd.multiply(args);
  }
}

void ByteWinogradConv::finish(const RunContext& context, const WinogradTask& task, int64_t group,
                              const float* products, float* rows) const {
  for (int vector = 0; vector < vectors(group); ++vector)
    for (int64_t tile = 0, end = 0; tile < task.count; tile = end) {
      end = std::min({task.count, tile + tiles_.left_in_row(task.first + tile), tile + kTilesTogether});
      finish_run(context, task, tile, end, group * low_precision_.tile_vectors + vector,
                 products + vector * kByteProducts * tiles_.most() * lanes_, rows);
    }
}

// Of tiles that are neighbours in a row of the map, one output block.
void ByteWinogradConv::finish_run(const RunContext& context, const WinogradTask& task, int64_t tile,
                                  int64_t end, int64_t block, const float* products, float* rows) const {
  const View& dst = conv_.dst;
  const int64_t y = tiles_.y(task.first + tile);
  const int64_t x = tiles_.x(task.first + tile);
  const int64_t width = std::min((end - tile) * kTile, dst.width - x);
  TilePlace place{task.image, block, 1, y * dst.width + x, width};

  ByteWinogradOutputArgs args;
  args.src_step = task.count * lanes_;
  args.scale = scale_.values().data() + block * lanes_;
  args.bias = bias_.values().data() + block * lanes_;
  args.rows = static_cast<int>(std::min<int64_t>(kTile, dst.height - y));
  float* values = rows;
  args.dst_row = row_floats();
  if (dst.element == Element::kFloat32) {
    values = place.in(dst, context.write(dst), lanes_);
    args.dst_row = dst.width * lanes_;
  }
  for (int64_t column = 0; column < width; column += kTile, ++tile) {
    args.columns = static_cast<int>(std::min<int64_t>(kTile, width - column));
    args.src = reinterpret_cast<const int32_t*>(products) + tile * lanes_;
    args.dst = values + column * lanes_;
    kernels_.byte_winograd.output(args);
  }
  for (int row = 0; row < args.rows; ++row, place.pixel += dst.width)
    finish_low_precision_tile(context, conv_, place, values + row * args.dst_row, 0,
                              rows + kTile * row_floats());
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
