// Winograd's algorithm in bfloat16, against float64 sums of the same inputs. It rounds transformed inputs and
// weights, so what it may differ by follows from them: see Expected.
#include <cmath>
#include <cstring>
#include <map>
#include <numbers>

#include "marrow/base/tensor.h"
#include "marrow/engine/kernels/winograd_points.h"
#include "marrow/engine/steps/low_precision.h"
#include "step_arena.h"
#include "support.h"

namespace marrow::engine {
namespace {

using testing::StepArena;
using Form = winograd::Unit;

struct Size {
  int64_t images, in, out, height, width, padding = 1;
};

std::ostream& operator<<(std::ostream& text, const Size& s) {
  return text << s.images << 'x' << s.in << 'x' << s.height << 'x' << s.width << " -> " << s.out
              << ", padding " << s.padding;
}

float widened(uint16_t number) {
  float x;
  kernels_of(cpu::SimdLevel::kPlain).bfloat16.to_float32(&number, {}, &x, 1);
  return x;
}

float rounded(float x) {
  uint16_t number;
  kernels_of(cpu::SimdLevel::kPlain).bfloat16.from_float32(&x, {}, &number, 1);
  return widened(number);
}

// A layer of random weights on a random map, whose numbers are bfloat16.
struct WinogradLayer {
  explicit WinogradLayer(const Size& s)
      : size(s),
        src(testing::noise({s.images, s.in, s.height, s.width}, 3)),
        weight(testing::noise({s.out, s.in, 3, 3}, 5)),
        bias(testing::noise({s.out}, 7)) {
    for (float& x : src.values()) x = rounded(x);
  }
  int64_t out_height() const { return size.height + 2 * size.padding - 2; }
  int64_t out_width() const { return size.width + 2 * size.padding - 2; }
  Shape out_shape() const { return {size.images, size.out, out_height(), out_width()}; }

  Size size;
  Tensor src, weight, bias;
};

// What a layer's step is run with: where its maps lie, and what follows the sums.
struct Run {
  cpu::SimdLevel level = cpu::SimdLevel::kPlain;
  int threads = 1;
  Element dst = Element::kFloat32;
  Element other = Element::kFloat32;
  Epilogue epilogue;
};

void fill(StepArena& arena, const View& view, std::span<const float> numbers) {
  arena.for_each(view, [&](uint8_t* at, size_t i) {
    if (view.element == Element::kFloat32)
      std::memcpy(at, &numbers[i], sizeof(float));
    else
      kernels_of(cpu::SimdLevel::kPlain).bfloat16.from_float32(&numbers[i], {}, at, 1);
  });
}

Tensor read(StepArena& arena, const View& view) {
  Tensor numbers({view.images, view.channels, view.height, view.width});
  arena.for_each(view, [&](const uint8_t* at, size_t i) {
    uint16_t half;
    std::memcpy(&half, at, sizeof half);
    if (view.element == Element::kFloat32)
      std::memcpy(&numbers.values()[i], at, sizeof(float));
    else
      numbers.values()[i] = widened(half);
  });
  return numbers;
}

Tensor run(const WinogradLayer& layer, const Run& how, const Tensor& other = {}) {
  cpu::ThreadPool pool(how.threads);
  ConvDescription conv;
  conv.kernel = 3;
  conv.pad_y = conv.pad_x = Padding::symmetric(static_cast<int>(layer.size.padding));
  conv.weight = layer.weight.values();
  conv.bias = layer.bias.values();
  conv.kernels = &kernels_of(how.level);
  conv.pool = &pool;
  conv.epilogue = how.epilogue;
  StepArena arena(*conv.kernels);
  conv.src = arena.add(layer.src.shape(), Element::kBfloat16);
  conv.dst = arena.add(layer.out_shape(), how.dst);
  fill(arena, conv.src, layer.src.values());
  if (how.epilogue.join != Epilogue::Join::kNone) {
    conv.epilogue.other = arena.add(layer.out_shape(), how.other);
    fill(arena, conv.epilogue.other, other.values());
  }
  arena.run(*make_bfloat16_winograd(conv), pool);
  return read(arena, conv.dst);
}

// Each output in float64, and how far the algorithm may be off. A transformed input U and weight V of product
// (i, j) are each rounded to 8 bits, by u = 2^-8 of their value at most; so an output differs by
//   sum over products of |A_i A_j| sum over channels of |U V| (2 u + u^2) at most, and by the root of the sum
//   over products and channels of (A_i A_j U V)^2 2 r^2 in the mean square,
// where r is the root mean square of u / m / sqrt(3) for mantissas m from 1 to 2, as frequent as 1 / m.
struct Expected {
  explicit Expected(const WinogradLayer& layer);
  std::vector<double> value, bound, deviation;
};

Expected::Expected(const WinogradLayer& layer) {
  constexpr double kUnit = 1.0 / 256;
  const double relative = kUnit / std::sqrt(3.0) * std::sqrt(0.375 / std::numbers::ln2);
  constexpr double kFloat = 1e-5;  // what float32 adds, generously: a few hundred roundings of 6e-8
  const Size& s = layer.size;
  const float* input = layer.src.values().data();
  const int64_t height = layer.out_height(), width = layer.out_width();
  std::vector<std::array<double, 36>> weights;
  for (int64_t k = 0; k < s.out * s.in; ++k)
    weights.push_back(winograd::transform_weights<Form>(layer.weight.values().data() + k * 9));
  const auto pixel = [&](int64_t image, int64_t channel, int64_t y, int64_t x) -> double {
    const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
    return inside ? input[((image * s.in + channel) * s.height + y) * s.width + x] : 0;
  };
  // U of each channel, of the tile at hand
  std::vector<std::array<double, 36>> patch(static_cast<size_t>(s.in));
  value.resize(static_cast<size_t>(s.images * s.out * height * width));
  bound = deviation = value;
  for (int64_t image = 0; image < s.images; ++image)
    for (int64_t top = 0; top < height; top += 4)
      for (int64_t left = 0; left < width; left += 4) {
        for (int64_t c = 0; c < s.in; ++c)
          for (int i = 0; i < 6; ++i)
            for (int j = 0; j < 6; ++j) {
              double sum = 0;
              for (int y = 0; y < 6; ++y)
                for (int x = 0; x < 6; ++x)
                  sum += Form::kInput[i][y] * Form::kInput[j][x] *
                         pixel(image, c, top + y - s.padding, left + x - s.padding);
              patch[static_cast<size_t>(c)][static_cast<size_t>(6 * i + j)] = sum;
            }
        for (int64_t o = 0; o < s.out; ++o) {
          std::array<double, 36> sizes{}, squares{};
          for (int64_t c = 0; c < s.in; ++c)
            for (size_t p = 0; p < 36; ++p) {
              const double term =
                  patch[static_cast<size_t>(c)][p] * weights[static_cast<size_t>(o * s.in + c)][p];
              sizes[p] += std::abs(term);
              squares[p] += term * term;
            }
          for (int64_t y = top; y < std::min(top + 4, height); ++y)
            for (int64_t x = left; x < std::min(left + 4, width); ++x) {
              const auto at = static_cast<size_t>(((image * s.out + o) * height + y) * width + x);
              double size = 0, square = 0;
              for (size_t p = 0; p < 36; ++p) {
                const double factor = Form::kOutput[y - top][p / 6] * Form::kOutput[x - left][p % 6];
                size += std::abs(factor) * sizes[p];
                square += factor * factor * squares[p];
              }
              bound[at] = size * (2 * kUnit + kUnit * kUnit + kFloat);
              deviation[at] = std::sqrt(square * 2) * relative;
              value[at] = layer.bias.values()[static_cast<size_t>(o)];
              for (int64_t c = 0; c < s.in; ++c)
                for (int ky = 0; ky < 3; ++ky)
                  for (int kx = 0; kx < 3; ++kx)
                    value[at] +=
                        double{layer.weight.values()[static_cast<size_t>((o * s.in + c) * 9 + ky * 3 + kx)]} *
                        pixel(image, c, y + ky - s.padding, x + kx - s.padding);
            }
        }
      }
}

// Differences in units of the deviation expected: 1 in the root mean square if all that happens is right
// rounding, a little more or less where few outputs share the same weights. Rounding down alone gives 1.07.
class Differences {
 public:
  void add(const Size& size) {
    SCOPED_TRACE(::testing::Message() << size);
    const WinogradLayer layer(size);
    const Expected expected(layer);
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      const Tensor found = run(layer, {.level = level, .threads = 2});
      for (size_t i = 0; i < expected.value.size(); ++i) {
        const double difference = found.values()[i] - expected.value[i];
        ASSERT_LE(std::abs(difference), expected.bound[i]) << cpu::simd_name(level) << ", output " << i;
        if (expected.deviation[i] == 0) continue;
        squares_[level] += std::pow(difference / expected.deviation[i], 2);
        ++counts_[level];
      }
    }
  }
  void expect_rounding_alone() {
    for (const auto& [level, squares] : squares_)
      EXPECT_NEAR(std::sqrt(squares / counts_[level]), 1, 0.05) << cpu::simd_name(level);
  }

 private:
  std::map<cpu::SimdLevel, double> squares_, counts_;
};

TEST(Bfloat16Winograd, RoundsTransformedNumbersAlone) {
  Differences differences;
  for (const int64_t in : {1, 7, 15, 17, 24, 33, 58})
    for (const int64_t out : {1, 17, 58}) differences.add({1, in, out, 9, 13});
  for (const int64_t out : {7, 15, 24, 33}) differences.add({3, 20, out, 7, 5});
  differences.expect_rounding_alone();
}

TEST(Bfloat16Winograd, TakesAnySizeAndPadding) {
  Differences differences;
  for (const int64_t height : {1, 2, 5, 8, 13})
    for (const int64_t width : {1, 4, 7, 37}) differences.add({1, 18, 20, height, width});
  for (const int64_t padding : {0, 2, 5}) differences.add({3, 17, 40, 11, 7, padding});
  differences.expect_rounding_alone();
}

TEST(Bfloat16Winograd, GivesTheSameNumbersOnAnyNumberOfThreads) {
  for (const Size& size : {Size{3, 33, 50, 37, 29}, Size{1, 24, 130, 5, 5}})
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      const WinogradLayer layer(size);
      const Tensor one = run(layer, {.level = level});
      for (const int threads : {3, 16})
        EXPECT_TRUE(
            std::ranges::equal(run(layer, {.level = level, .threads = threads}).values(), one.values()))
            << cpu::simd_name(level) << ", " << threads << " threads";
    }
}

// After the sums: what other maps are stored as must not matter beyond its own rounding.
TEST(Bfloat16Winograd, FinishesIntoAnyElementFromAnyElement) {
  const WinogradLayer layer({2, 24, 33, 10, 39});
  Tensor other = testing::noise(layer.out_shape(), 9);
  for (float& x : other.values()) x = rounded(x);
  const auto silu = static_cast<int>(ActivationKind::kSilu), relu = static_cast<int>(ActivationKind::kRelu);
  const Epilogue epilogues[] = {{.before = {silu}},
                                {.before = {relu}},
                                {.before = {silu}, .join = Epilogue::Join::kAdd},
                                {.join = Epilogue::Join::kMultiply, .after = {relu}}};
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    const Tensor sums = run(layer, {.level = level});
    for (const Epilogue& epilogue : epilogues) {
      Tensor wanted = sums.clone();
      apply(epilogue, kernels_of(cpu::SimdLevel::kPlain), wanted.values().data(), other.values().data(),
            wanted.size());
      for (const Element dst : {Element::kFloat32, Element::kBfloat16})
        for (const Element joined : {Element::kFloat32, Element::kBfloat16}) {
          const Tensor found = run(layer, {level, 2, dst, joined, epilogue}, other);
          // Half a step of bfloat16, and what the quick SiLU is off by.
          const double relative = dst == Element::kFloat32 ? 2e-6 : 1.0 / 256 + 4e-4;
          for (size_t i = 0; i < wanted.values().size(); ++i)
            ASSERT_NEAR(found.values()[i], wanted.values()[i], relative * std::abs(wanted.values()[i]) + 1e-6)
                << cpu::simd_name(level) << to_string(epilogue) << ", output " << i;
        }
    }
  }
}

TEST(Bfloat16Winograd, IsWhatRunsWhereItPays) {
  const auto runs = [](int channels, int64_t size, Precision precision) {
    const Graph graph = testing::graph_of(channels, [&](GraphBuilder& g, Value x) {
      return g.conv(g.activation(x, ActivationKind::kRelu), "conv", {.out = 20, .kernel = 3});
    });
    const Shape shape = {1, channels, size, size};
    return testing::runs("bf16", graph, shape, {.precision = precision}) &&
           testing::runs(" winograd ", graph, shape, {.precision = precision});
  };
  EXPECT_TRUE(runs(16, 7, Precision::kBfloat16));
  EXPECT_FALSE(runs(15, 7, Precision::kBfloat16));
  EXPECT_FALSE(runs(16, 6, Precision::kBfloat16));
}

}  // namespace
}  // namespace marrow::engine
