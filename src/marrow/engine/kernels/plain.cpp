// The kernels in plain C++: what the others are tested against, and what runs where no vector unit is known.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "marrow/engine/kernels/kernels.h"
#include "marrow/engine/kernels/winograd_points.h"

namespace marrow::engine {
namespace {

constexpr int kPlainLanes = 8;

// The floats of weights a channel.
constexpr int width_of(int halves) {
  return (halves + 1) / 2 * kPlainLanes;
}

void conv_tile_plain(const ConvTileArgs& args, int pixels, int halves) {
  const int width = width_of(halves);
  for (int p = 0; p < pixels; ++p)
    for (int out = 0; out < width; ++out) {
      double sum = args.bias[out];
      for (int block = 0; block < args.blocks; ++block) {
        const int channels = block + 1 == args.blocks ? args.last_channels : args.block_channels;
        const float* w = args.weights + block * args.weights_block +
                         int64_t{args.first_row} * args.taps * channels * width + out;
        for (int row = 0; row < args.rows; ++row)
          for (int tap = 0; tap < args.taps; ++tap) {
            const float* x = args.src + block * args.src_block + row * args.src_row + tap * args.src_tap +
                             p * args.src_pixel;
            for (int c = 0; c < channels; ++c, w += width) sum += double{x[c]} * double{*w};
          }
      }
      args.dst[out / kPlainLanes * args.dst_block + p * kPlainLanes + out % kPlainLanes] =
          static_cast<float>(sum);
    }
}

template <int kPixels, int kHalves>
void conv_tile(const ConvTileArgs& args) {
  conv_tile_plain(args, kPixels, kHalves);
}

void pointwise_tile_plain(const PointwiseTileArgs& args, int pixels, int halves) {
  const int width = width_of(halves);
  for (int p = 0; p < pixels; ++p)
    for (int out = 0; out < width; ++out) {
      float& dst = args.dst[out / kPlainLanes * args.dst_block + p * kPlainLanes + out % kPlainLanes];
      double sum = args.bias != nullptr ? args.bias[out] : dst;
      for (int c = 0; c < args.channels; ++c)
        sum += double{args.src[args.offsets[c] + int64_t{p} * kPlainLanes]} *
               double{args.weights[int64_t{c} * width + out]};
      dst = static_cast<float>(sum);
    }
}

template <int kPixels, int kHalves>
void pointwise_tile(const PointwiseTileArgs& args) {
  pointwise_tile_plain(args, kPixels, kHalves);
}

// The sum for one pixel and one output, from `sum` on.
double packed_sum(const PackedOperand& operand, double sum, int tile_pixels, int width, int pixel, int out) {
  const int64_t blocks = (operand.channels + kPlainLanes - 1) / kPlainLanes;
  const float* tile = operand.src + pixel / tile_pixels * blocks * tile_pixels * kPlainLanes;
  for (int c = 0; c < operand.channels; ++c) {
    const int64_t block_pixel = int64_t{c / kPlainLanes} * tile_pixels + pixel % tile_pixels;
    sum += double{tile[block_pixel * kPlainLanes + c % kPlainLanes]} *
           double{operand.weights[int64_t{c} * width + out]};
  }
  return sum;
}

template <int kPixels, int kHalves>
void packed_tile(const PackedTileArgs& args) {
  constexpr int kWidth = width_of(kHalves);
  for (int p = 0; p < args.operand.tiles * kPixels; ++p)
    for (int out = 0; out < kWidth; ++out) {
      float& dst = args.dst[out / kPlainLanes * args.dst_block + p * kPlainLanes + out % kPlainLanes];
      dst = static_cast<float>(
          packed_sum(args.operand, args.bias != nullptr ? args.bias[out] : dst, kPixels, kWidth, p, out));
    }
}

template <int kPixels, int kVectors>
void add_packed_tile(const AddPackedTileArgs& args) {
  constexpr int kWidth = kVectors * kPlainLanes;
  for (int p = 0; p < args.operand.tiles * kPixels; ++p)
    for (int out = 0; out < kWidth; ++out) {
      const double sum = packed_sum(args.operand, 0, kPixels, kWidth, p, out);
      for (int r = 0; r < args.count; ++r) {
        const PackedResult& result = args.results[static_cast<size_t>(r)];
        float& dst = result.dst[out / kPlainLanes * args.dst_block + p * kPlainLanes + out % kPlainLanes];
        dst = static_cast<float>((result.bias != nullptr ? result.bias[out] : dst) + result.sign * sum);
      }
    }
}

void pack_pixels(const PackPixelsArgs& args) {
  for (int64_t block = 0; block < args.blocks; ++block)
    for (int64_t i = 0; i < int64_t{args.pixels} * kPlainLanes; ++i) {
      float sum = 0;
      for (size_t source = 0; source < static_cast<size_t>(args.count); ++source)
        sum += args.factor[source] * args.src[source][block * args.src_block + i];
      args.dst[block * args.pixels * kPlainLanes + i] = sum;
    }
}

double widened(float number) {
  return number;
}
double widened(uint16_t bfloat16) {
  return std::bit_cast<float>(uint32_t{bfloat16} << 16);
}
void round_to(float& dst, double number) {
  dst = static_cast<float>(number);
}
void round_to(uint16_t& dst, double number) {
  constexpr uint32_t kHalf = 0x8000;  // of the last place that is kept
  dst = static_cast<uint16_t>((std::bit_cast<uint32_t>(static_cast<float>(number)) + kHalf) >> 16);
}

template <class Form, class Number>
void winograd_input(const WinogradInputArgs<Number>& args) {
  for (int tile = 0; tile < args.tiles; ++tile) {
    const int begin = tile * winograd::kTile * Form::kStride;
    Number* dst = args.dst + int64_t{tile} * kPlainLanes;
    for (int i = 0; i < Form::kProducts; ++i)
      for (int j = 0; j < Form::kProducts; ++j, dst += args.dst_step)
        for (int lane = 0; lane < kPlainLanes; ++lane) {
          double sum = 0;
          for (int y = 0; y < Form::kPatch; ++y)
            for (int x = 0; x < Form::kPatch; ++x)
              if (begin + x >= args.first_column && begin + x < args.end_column)
                sum += Form::kInput[i][y] * Form::kInput[j][x] *
                       widened(args.rows[static_cast<size_t>(y)][(begin + x) * kPlainLanes + lane]);
          round_to(dst[lane], sum);
        }
  }
}

template <class Form>
void winograd_output(const WinogradOutputArgs& args) {
  for (int y = 0; y < args.rows; ++y)
    for (int x = 0; x < args.columns; ++x)
      for (int lane = 0; lane < kPlainLanes; ++lane) {
        const float* src = args.src + int64_t{x / winograd::kTile} * kPlainLanes + lane;
        double sum = args.bias[lane];
        for (int i = 0; i < Form::kProducts; ++i)
          for (int j = 0; j < Form::kProducts; ++j, src += args.src_step)
            sum += Form::kOutput[y][i] * Form::kOutput[x % winograd::kTile][j] * double{*src};
        args.dst[y * args.dst_row + x * kPlainLanes + lane] = static_cast<float>(sum);
      }
}

template <class Form>
void winograd_weights(const WinogradWeightArgs& args) {
  constexpr float kNone[9] = {};
  for (int i = 0; i < args.count; ++i) {
    const float* kernel = args.kernels[i];
    const auto classes = winograd::transform_weights<Form>(kernel != nullptr ? kernel + args.offset : kNone);
    float* dst = args.dst + i;
    for (const double number : classes) {
      *dst = static_cast<float>(number);
      dst += args.dst_step;
    }
  }
}

void depthwise_row(const DepthwiseRowArgs& args) {
  for (int x = 0; x < args.out_width; ++x)
    for (int lane = 0; lane < kPlainLanes; ++lane) {
      double sum = args.bias[lane];
      for (int row = 0; row < args.rows; ++row)
        for (int tap = 0; tap < args.taps; ++tap) {
          const int at = x * args.stride - args.pad_before + tap * args.dilation;
          if (at < 0 || at >= args.width) continue;
          sum += double{args.src[row * args.src_row + int64_t{at} * kPlainLanes + lane]} *
                 double{args.weights[(row * args.taps + tap) * kPlainLanes + lane]};
        }
      args.dst[int64_t{x} * kPlainLanes + lane] = static_cast<float>(sum);
    }
}

void max_pool_row(const MaxPoolRowArgs& args) {
  for (int x = 0; x < args.out_width; ++x)
    for (int lane = 0; lane < kPlainLanes; ++lane) {
      float largest = -std::numeric_limits<float>::infinity();
      for (int row = 0; row < args.rows; ++row)
        for (int tap = 0; tap < args.taps; ++tap) {
          const int at = x * args.stride - args.pad_before + tap;
          if (at < 0 || at >= args.width) continue;
          largest = std::max(largest, args.src[row * args.src_row + int64_t{at} * kPlainLanes + lane]);
        }
      args.dst[int64_t{x} * kPlainLanes + lane] = largest;
    }
}

void dfl(const DflArgs& args) {
  for (int i = 0; i < args.count; ++i) {
    double largest = args.src[i];
    for (int b = 1; b < args.reg_max; ++b)
      largest = std::max(largest, double{args.src[b * args.src_bin + i]});
    double total = 0;
    double weighted = 0;
    for (int b = 0; b < args.reg_max; ++b) {
      const double e = std::exp(args.src[b * args.src_bin + i] - largest);
      total += e;
      weighted += e * args.bins[b];
    }
    args.dst[i] = static_cast<float>(weighted / total);
  }
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

using Function = double (*)(double x, double parameter);
constexpr Function kFunctions[kUnaryKinds] = {
    [](double x, double) { return x; },
    [](double x, double) { return std::max(x, 0.0); },
    [](double x, double) { return std::clamp(x, 0.0, 6.0); },
    [](double x, double slope) { return x >= 0 ? x : slope * x; },
    [](double x, double) { return x * sigmoid(x); },
    [](double x, double) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; },
    [](double x, double) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); },
    [](double x, double) { return sigmoid(x); },
    [](double x, double) { return std::tanh(x); },
    [](double x, double) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); },
    [](double x, double) { return x * std::tanh(std::log1p(std::exp(x))); },
    [](double x, double alpha) { return x > 0 ? x : alpha * std::expm1(x); },
    [](double x, double factor) { return x * factor; },
};

template <int kKind>
void unary(const float* src, float* dst, int64_t count, float parameter) {
  for (int64_t i = 0; i < count; ++i)
    dst[i] = static_cast<float>(kFunctions[kKind](double{src[i]}, double{parameter}));
}

void add(const float* a, const float* b, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = a[i] + b[i];
}

void multiply(const float* a, const float* b, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = a[i] * b[i];
}

void scale_lanes(const float* src, const float* scale, const float* shift, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t lane = i % kPlainLanes;
    dst[i] = static_cast<float>(double{src[i]} * double{scale[lane]} +
                                (shift == nullptr ? 0.0 : double{shift[lane]}));
  }
}

void sum_lanes(const float* src, int64_t count, float* sums) {
  for (int64_t lane = 0; lane < kPlainLanes; ++lane) {
    double sum = 0;
    for (int64_t i = lane; i < count; i += kPlainLanes) sum += src[i];
    sums[lane] = static_cast<float>(sum);
  }
}

void softmax(const SoftmaxArgs& args) {
  for (int64_t pixel = 0; pixel < args.pixels; ++pixel) {
    const auto each = [&](const auto& visit) {
      for (int64_t b = 0; b < args.blocks; ++b)
        for (int64_t lane = 0; lane < kPlainLanes; ++lane)
          visit(args.scores[b * args.block + pixel * kPlainLanes + lane]);
    };
    float largest = args.scores[pixel * kPlainLanes];
    each([&](float& x) { largest = std::max(largest, x); });
    double total = 0;
    each([&](float& x) { total += std::exp(double{args.factor} * (double{x} - double{largest})); });
    each([&](float& x) {
      x = static_cast<float>(std::exp(double{args.factor} * (double{x} - double{largest})) / total);
    });
  }
}

void block_to_rows(const float* src, int64_t pixels, int64_t rows, float* dst, int64_t row_stride) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t p = 0; p < pixels; ++p) dst[row * row_stride + p] = src[p * kPlainLanes + row];
}

float dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
  return static_cast<float>(sum);
}

template <int kHalves, int... kPixels>
void fill_tiles(Kernels& kernels, std::integer_sequence<int, kPixels...>) {
  for (auto& step : kernels.conv_tile) ((step[kHalves - 1][kPixels] = conv_tile<kPixels + 1, kHalves>), ...);
  ((kernels.pointwise_tile[kHalves - 1][kPixels] = pointwise_tile<kPixels + 1, kHalves>), ...);
  ((kernels.packed_tile[kHalves - 1][kPixels] = packed_tile<kPixels + 1, kHalves>), ...);
  if constexpr (kHalves % 2 == 0)
    ((kernels.add_packed_tile[kHalves / 2 - 1][kPixels] = add_packed_tile<kPixels + 1, kHalves / 2>), ...);
}

template <int... kKinds>
void fill_unary(Kernels& kernels, std::integer_sequence<int, kKinds...>) {
  kernels.unary = {unary<kKinds>...};
}

}  // namespace

void add_plain_kernels(Kernels& kernels) {
  kernels.lanes = kPlainLanes;
  kernels.tile_pixels = kMaxTilePixels;
  kernels.half_blocks = true;
  using Pixels = std::make_integer_sequence<int, kMaxTilePixels>;
  fill_tiles<1>(kernels, Pixels());
  fill_tiles<2>(kernels, Pixels());
  fill_tiles<3>(kernels, Pixels());
  fill_tiles<4>(kernels, Pixels());
  fill_unary(kernels, std::make_integer_sequence<int, kUnaryKinds>());
  kernels.winograd = {{{winograd_input<winograd::Unit, float>, winograd_output<winograd::Unit>,
                        winograd_weights<winograd::Unit>},
                       {winograd_input<winograd::Strided, float>, winograd_output<winograd::Strided>,
                        winograd_weights<winograd::Strided>}}};
  kernels.winograd_bfloat16_input = winograd_input<winograd::Unit, uint16_t>;
  kernels.pack_pixels = pack_pixels;
  kernels.depthwise_row = depthwise_row;
  kernels.max_pool_row = max_pool_row;
  kernels.dfl = dfl;
  kernels.softmax = softmax;
  kernels.add = add;
  kernels.multiply = multiply;
  kernels.scale_lanes = scale_lanes;
  kernels.sum_lanes = sum_lanes;
  kernels.block_to_rows = block_to_rows;
  kernels.dot = dot;
}

}  // namespace marrow::engine
