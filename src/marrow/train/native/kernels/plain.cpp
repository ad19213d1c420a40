// The kernels in plain C++: what the others are tested against, and what runs where no vector unit is known.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "marrow/engine/kernels/winograd_points.h"
#include "marrow/train/native/kernels/kernels.h"

namespace marrow::train::native {
namespace {

using engine::winograd::kTile;
using engine::winograd::Unit;

constexpr int kPlainLanes = 8;

template <int kKind>
void prepare(const PrepareArgs& args) {
  const auto activation = engine::kernels_of(cpu::SimdLevel::kPlain).unary[kKind];
  for (int64_t i = 0; i < args.pixels * kPlainLanes; ++i) {
    const int64_t lane = i % kPlainLanes;
    args.dst[i] =
        static_cast<float>(double{args.src[i]} * double{args.scale[lane]} + double{args.shift[lane]});
  }
  activation(args.dst, args.dst, args.pixels * kPlainLanes, args.parameter);
}

void prepare_gradient(const PrepareGradientArgs& args) {
  for (int64_t i = 0; i < args.pixels * kPlainLanes; ++i) {
    const int64_t lane = i % kPlainLanes;
    args.dst[i] =
        static_cast<float>(double{args.factor[lane]} * args.dn[i] +
                           args.slope[lane] * (double{args.y[i]} - args.centre[lane]) + args.offset[lane]);
  }
}

void finish(const FinishArgs& args) {
  const auto count = static_cast<double>(args.pixels);
  for (int64_t lane = 0; lane < kPlainLanes; ++lane) {
    double sum = 0;
    for (int64_t p = 0; p < args.pixels; ++p) sum += args.src[p * kPlainLanes + lane];
    double squares = 0;
    for (int64_t p = 0; p < args.pixels; ++p) {
      const double deviation = args.src[p * kPlainLanes + lane] - sum / count;
      squares += deviation * deviation;
    }
    args.mean[lane] = sum / count;
    args.squares[lane] = squares;
  }
  if (args.dst != args.src) std::copy_n(args.src, args.pixels * kPlainLanes, args.dst);
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double mish_slope(double x) {
  const double t = std::tanh(std::log1p(std::exp(x)));
  return t + x * (1 - t * t) * sigmoid(x);
}
double gelu_slope(double x) {
  const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
  return 0.5 * std::erfc(-x / std::numbers::sqrt2) + x * density;
}
double tanh_slope(double x) {
  const double c = std::cosh(x);
  return 1 / (c * c);
}

using Slope = double (*)(double x, double parameter);
// At a kink, LibTorch's.
constexpr Slope kSlopes[] = {
    [](double, double) { return 1.0; },
    [](double x, double) { return x > 0 ? 1.0 : 0.0; },
    [](double x, double) { return x > 0 && x < 6 ? 1.0 : 0.0; },
    [](double x, double slope) { return x > 0 ? 1.0 : slope; },
    [](double x, double) { return sigmoid(x) * (1 + x * sigmoid(-x)); },
    [](double x, double) { return x < -3  ? 0.0
                                  : x < 3 ? x / 3 + 0.5
                                          : 1.0; },
    [](double x, double) { return x > -3 && x < 3 ? 1.0 / 6 : 0.0; },
    [](double x, double) { return sigmoid(x) * sigmoid(-x); },
    [](double x, double) { return tanh_slope(x); },
    [](double x, double) { return gelu_slope(x); },
    [](double x, double) { return mish_slope(x); },
    [](double x, double alpha) { return x > 0 ? 1.0 : alpha * std::exp(x); },
};
static_assert(std::size(kSlopes) == engine::kScale);

template <int kKind>
void finish_gradient(const FinishGradientArgs& args) {
  for (int64_t lane = 0; lane < kPlainLanes; ++lane) {
    double sum = 0, products = 0;
    for (int64_t p = 0; p < args.pixels; ++p) {
      const int64_t i = p * kPlainLanes + lane;
      const auto x = static_cast<float>(double{args.y[i]} * args.scale[lane] + args.shift[lane]);
      const double slope = kSlopes[kKind](x, args.parameter);
      const double gradient = slope != 0 ? args.dz[i] * slope : 0;
      sum += gradient;
      if (args.products != nullptr) products += gradient * (double{args.y[i]} - args.centre[lane]);
      args.dn[i] = static_cast<float>(args.adds ? gradient + args.dn[i] : gradient);
    }
    if (args.sums != nullptr) args.sums[lane] += sum;
    if (args.products != nullptr) args.products[lane] += products;
  }
}

void multiply(const MultiplyArgs& args) {
  const int64_t width = int64_t{args.outputs} * kPlainLanes;
  for (int64_t p = 0; p < args.pixels; ++p)
    for (int64_t out = 0; out < width; ++out) {
      double sum = 0;
      const float* weight = args.weights + out;
      for (int block = 0; block < args.blocks; ++block)
        for (int tap = 0; tap < args.tap_count; ++tap) {
          const float* x = args.src + block * args.src_block + args.taps[tap] + p * args.src_step;
          for (int lane = 0; lane < args.block_channels; ++lane, weight += width)
            sum += double{x[lane]} * double{*weight};
        }
      args.dst[out / kPlainLanes * args.dst_block + p * args.dst_step + out % kPlainLanes] =
          static_cast<float>(sum);
    }
}

void outer(const OuterArgs& args) {
  for (int64_t out = 0; out < int64_t{args.outputs} * kPlainLanes; ++out)
    for (int64_t in = 0; in < int64_t{args.inputs} * kPlainLanes; ++in) {
      const float* dy = args.dy + out / kPlainLanes * args.dy_block + out % kPlainLanes;
      const float* x = args.x + in / kPlainLanes * args.x_block + in % kPlainLanes;
      double sum = args.acc[out * args.acc_step + in];
      for (int64_t row = 0; row < args.rows; ++row)
        for (int64_t p = 0; p < args.pixels; ++p)
          sum +=
              double{dy[row * args.dy_row + p * kPlainLanes]} * double{x[row * args.x_row + p * args.x_step]};
      args.acc[out * args.acc_step + in] = static_cast<float>(sum);
    }
}

void lane_taps(const LaneTapsArgs& args) {
  for (int64_t p = 0; p < args.pixels; ++p)
    for (int64_t lane = 0; lane < kPlainLanes; ++lane) {
      double sum = 0;
      for (int tap = 0; tap < args.tap_count; ++tap)
        sum += double{args.src[args.taps[tap] + p * args.src_step + lane]} *
               double{args.weights[tap * kPlainLanes + lane]};
      args.dst[p * args.dst_step + lane] = static_cast<float>(sum);
    }
}

void lane_outer(const LaneOuterArgs& args) {
  for (int64_t i = 0; i < int64_t{args.taps} * kPlainLanes; ++i) {
    double sum = args.acc[i];
    for (int64_t row = 0; row < args.rows; ++row)
      for (int64_t p = 0; p < args.pixels; ++p)
        sum += double{args.dy[row * args.dy_row + p * kPlainLanes + i % kPlainLanes]} *
               double{args.x[row * args.x_row + p * args.x_step + i]};
    args.acc[i] = static_cast<float>(sum);
  }
}

int largest_tap(const float* src, const int64_t* taps, int count) {
  int largest = 0;
  for (int tap = 1; tap < count; ++tap)
    if (src[taps[tap]] > src[taps[largest]] || std::isnan(src[taps[tap]])) largest = tap;
  return largest;
}

void max_taps(const MaxTapsArgs& args) {
  for (int64_t i = 0; i < args.pixels * kPlainLanes; ++i) {
    const float* src = args.src + i / kPlainLanes * args.src_step + i % kPlainLanes;
    args.dst[i] = src[args.taps[largest_tap(src, args.taps, args.tap_count)]];
  }
}

void max_taps_gradient(const MaxTapsGradientArgs& args) {
  for (int64_t i = 0; i < args.pixels * kPlainLanes; ++i) {
    const int64_t at = i / kPlainLanes * args.src_step + i % kPlainLanes;
    args.dx[at + args.taps[largest_tap(args.src + at, args.taps, args.tap_count)]] += args.dy[i];
  }
}

void winograd_gradient(const WinogradGradientArgs& args) {
  for (int tile = 0; tile < args.tiles; ++tile)
    for (int k = 0; k < Unit::kProducts * Unit::kProducts; ++k)
      for (int lane = 0; lane < kPlainLanes; ++lane) {
        double sum = 0;
        for (int y = 0; y < std::min(kTile, args.rows); ++y)
          for (int x = 0; x < std::min(kTile, args.columns - tile * kTile); ++x)
            sum += Unit::kOutput[y][k / Unit::kProducts] * Unit::kOutput[x][k % Unit::kProducts] *
                   double{args.src[y * args.src_row + int64_t{tile * kTile + x} * kPlainLanes + lane]};
        args.dst[k * args.dst_step + int64_t{tile} * kPlainLanes + lane] = static_cast<float>(sum);
      }
}

void winograd_weights(const WinogradWeightsArgs& args) {
  for (int64_t i = 0; i < args.count; ++i) {
    float kernel[9];
    for (int tap = 0; tap < 9; ++tap) kernel[tap] = args.src[tap * args.src_step + i];
    const auto products = engine::winograd::transform_weights<Unit>(kernel);
    for (size_t k = 0; k < products.size(); ++k)
      args.dst[static_cast<int64_t>(k) * args.dst_step + i] = static_cast<float>(products[k]);
  }
}

void winograd_weight_gradient(const WinogradWeightGradientArgs& args) {
  for (int tap = 0; tap < 9; ++tap)
    for (int64_t i = 0; i < args.count; ++i) {
      double sum = 0;
      for (int k = 0; k < Unit::kProducts * Unit::kProducts; ++k)
        sum += Unit::kWeight[k / Unit::kProducts][tap / 3] * Unit::kWeight[k % Unit::kProducts][tap % 3] *
               double{args.src[k * args.src_step + i]};
      args.dst[tap * args.dst_step + i] = static_cast<float>(sum);
    }
}

template <int... kKinds>
void fill_kinds(Kernels& kernels, std::integer_sequence<int, kKinds...>) {
  kernels.prepare = {prepare<kKinds>...};
  kernels.finish_gradient = {finish_gradient<kKinds>...};
}

}  // namespace

void add_plain_kernels(Kernels& kernels) {
  kernels.lanes = kPlainLanes;
  kernels.output_group = 3;
  fill_kinds(kernels, std::make_integer_sequence<int, engine::kScale>());
  kernels.prepare_gradient = prepare_gradient;
  kernels.finish = finish;
  kernels.multiply = multiply;
  kernels.outer = outer;
  kernels.lane_taps = lane_taps;
  kernels.lane_outer = lane_outer;
  kernels.max_taps = max_taps;
  kernels.max_taps_gradient = max_taps_gradient;
  kernels.winograd_gradient = winograd_gradient;
  kernels.winograd_weights = winograd_weights;
  kernels.winograd_weight_gradient = winograd_weight_gradient;
}

}  // namespace marrow::train::native
