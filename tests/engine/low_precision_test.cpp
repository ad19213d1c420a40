// Networks in bytes and in bfloat16: each layer against the reference executor on numbers that were rounded
// beforehand, so that only the order of float32 sums is left as a difference.
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "marrow/engine/kernels/kernels.h"
#include "support.h"
#include "support/message_of.h"
#include "support/op_cases.h"

namespace marrow::engine {
namespace {

using testing::conv_case;
using testing::OpCase;

constexpr ByteScale kScale = {0.021f, 37};

// The number that is nearest to x among those that the element can hold.
float rounded(float x, Element element, ByteScale scale = kScale) {
  const LowPrecisionKernels& kernels = kernels_of(cpu::SimdLevel::kPlain).low_precision(element);
  uint16_t stored = 0;
  kernels.from_float32(&x, scale, &stored, 1);
  kernels.to_float32(&stored, scale, &x, 1);
  return x;
}

// As a convolution of bytes takes its weights.
void round_weights(Tensor& weight, Element element) {
  const auto per_output = static_cast<size_t>(weight.size() / weight.dim(0));
  for (size_t first = 0; first < weight.values().size(); first += per_output) {
    const auto row = weight.values().subspan(first, per_output);
    float largest = 0;
    for (const float w : row) largest = std::max(largest, std::abs(w));
    for (float& w : row)
      w = element == Element::kByte ? std::nearbyint(w / (largest / 127)) * (largest / 127)
                                    : rounded(w, element);
  }
}

Engine engine_for(const Graph& graph, const Weights& weights, const Shape& input, Precision precision,
                  cpu::SimdLevel level, int threads = 2) {
  EngineOptions options;
  options.threads = threads;
  options.simd = cpu::simd_name(level);
  options.precision = precision;
  return Engine(graph, weights, input, {}, options);
}

Graph quantised(Graph graph) {
  for (Node& node : graph.nodes) {
    node.byte_scale = kScale;
    node.int8 = std::holds_alternative<Conv>(node.operation);
  }
  return graph;
}

// The convolution cases of the table that have one group, with weights and what the layer reads rounded.
void expect_rounded_reference(Element element, Precision precision, double tolerance) {
  for (const OpCase& op : testing::convolutions()) {
    const auto& conv = std::get<Conv>(op.graph.node({2}).operation);
    if (conv.groups != 1) continue;
    // By Winograd's algorithm, which rounds more: bfloat16_winograd_test.cpp.
    if (element == Element::kBfloat16 && conv.kernel == 3 && conv.stride == 1 && conv.dilation == 1 &&
        op.input[1] >= 16 && op.input[2] > 1)
      continue;
    SCOPED_TRACE(op.name);
    const Graph graph = quantised(op.graph);
    const Weights weights = randomize(graph, 7);
    const Tensor input = testing::noise(op.input, 11);

    Tensor rounded_input = input.clone();
    for (float& x : rounded_input.values()) x = rounded(std::max(x, 0.f), element);
    Weights rounded_weights = weights;
    Tensor weight = rounded_weights.at("conv.weight").clone();
    round_weights(weight, element);
    rounded_weights.at("conv.weight") = weight;
    const Tensor wanted = reference::run_reference(graph, rounded_weights, rounded_input, "out");

    std::optional<Tensor> first;
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      Engine engine = engine_for(graph, weights, op.input, precision, level);
      engine.run(input);
      ASSERT_NE(engine.describe().find(element == Element::kByte ? "int8" : "bf16"), std::string::npos);
      ASSERT_LE(relative_difference(engine.output(0), wanted), tolerance) << engine.describe();
      if (element != Element::kByte) continue;
      // Whole numbers are summed: no level may differ, but that SSE4 scales and adds the bias in two
      // roundings.
      if (!first) first = engine.output(0).clone();
      const double rounding = level == cpu::SimdLevel::kSse4 ? 3e-7 : 0;
      ASSERT_LE(relative_difference(engine.output(0), *first), rounding) << engine.describe();
    }
  }
}

TEST(LowPrecisionEngine, ByteConvolutionsAreExact) {
  expect_rounded_reference(Element::kByte, Precision::kInt8, 2e-6);
}

TEST(LowPrecisionEngine, Bfloat16ConvolutionsRoundTheirInputsOnly) {
  expect_rounded_reference(Element::kBfloat16, Precision::kBfloat16, 3e-6);
}

// Layers that stay in low precision between each other: parts of a concatenation, residuals, pools,
// upsampling, and a slice and a shuffle that do not begin at a block.
Graph network(int channels) {
  return testing::graph_of(channels, [&](GraphBuilder& g, Value x) {
    x = g.conv(x, "stem", {.out = channels, .kernel = 3, .stride = 2, .bias = true});
    x = g.activation(x, ActivationKind::kSilu);
    const Value a =
        g.activation(g.conv(x, "a", {.out = channels, .kernel = 3, .bias = true}), ActivationKind::kRelu);
    const Value b = g.add(
        a, g.activation(g.conv(a, "b", {.out = channels, .kernel = 3, .bias = true}), ActivationKind::kRelu));
    const Value pooled = g.upsample(g.max_pool(b, 2, 2), 2);
    const Value joined = g.channel_shuffle(g.concat({a, b, pooled, g.max_pool(b, 5, 1, 2)}), 2);
    const Value part = g.slice(joined, 1, 3 * channels);
    return g.conv(part, "out", {.out = 9, .bias = true});
  });
}

// Each value of the float32 network rounded as the engine rounds it, one layer after another. A sum that
// falls between two bytes may go either way, so neighbours differ by one step at times.
TEST(LowPrecisionEngine, ValuesStayInLowPrecisionBetweenLayers) {
  for (const int channels : {1, 7, 16, 24, 58}) {
    const Graph graph = quantised(network(channels));
    const Weights weights = randomize(graph, 3);
    const Shape shape = {3, channels, 20, 12};
    const Tensor input = testing::noise(shape, 5);
    const Tensor wanted = reference::run_reference(graph, weights, input, "out");
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      Engine bfloat = engine_for(graph, weights, shape, Precision::kBfloat16, level);
      bfloat.run(input);
      EXPECT_LE(relative_difference(bfloat.output(0), wanted), 0.03) << bfloat.describe();
      // Only the planar input and the output are converted.
      const std::string text = bfloat.describe();
      // A slice of two channels leaves the second pool unread.
      // The stem computes in float32, and writes what its readers read.
      EXPECT_EQ(text.find("convert to bfloat16"), std::string::npos) << text;
      const bool converted = text.find("convert to float32") != std::string::npos;
      EXPECT_EQ(converted, channels == 1) << text;
    }
  }
}

// The layer that reads the image, in float32: its output is rounded once, which differs only where the sum
// lies between two numbers, by a step of one of the next layer's terms.
TEST(LowPrecisionEngine, ReadsTheImageInFloat32AndWritesLowPrecision) {
  for (const auto& [precision, element] :
       {std::pair(Precision::kBfloat16, Element::kBfloat16), std::pair(Precision::kInt8, Element::kByte)})
    for (const int kernel : {1, 3, 4})
      for (const int out : {1, 7, 16, 24, 33, 58}) {
        const Graph graph = quantised(testing::graph_of(3, [&](GraphBuilder& g, Value x) {
          x = g.conv(x, "stem", {.out = out, .kernel = kernel, .stride = kernel == 1 ? 1 : 2, .bias = true});
          return g.conv(g.activation(x, ActivationKind::kRelu), "conv", {.out = 9});
        }));
        const Weights weights = randomize(graph, 3);
        const Shape shape = {2, 3, 13, 37};
        const Tensor input = testing::noise(shape, 5);
        Weights rounded_weights = weights;
        Tensor weight = weights.at("conv.weight").clone();
        round_weights(weight, element);
        rounded_weights.at("conv.weight") = weight;
        Tensor map = reference::run_reference(graph, weights, input, std::vector{Value{2}})[0];
        for (float& x : map.values()) x = rounded(x, element);
        const Tensor wanted = reference::run_reference(
            testing::graph_of(out, [&](GraphBuilder& g, Value x) { return g.conv(x, "conv", {.out = 9}); }),
            rounded_weights, map, "out");
        for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
          Engine engine = engine_for(graph, weights, shape, precision, level);
          engine.run(input);
          EXPECT_LE(relative_difference(engine.output(0), wanted), 2e-3) << engine.describe();
          EXPECT_EQ(engine.describe().find("convert"), std::string::npos) << engine.describe();
        }
      }
}

TEST(LowPrecisionEngine, ResultsDependOnNothingButTheNumbers) {
  const Graph graph = quantised(network(33));
  const Weights weights = randomize(graph, 3);
  const Shape shape = {3, 33, 23, 40};
  const Tensor input = testing::noise(shape, 5);
  for (const Precision precision : {Precision::kInt8, Precision::kBfloat16})
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      Engine one = engine_for(graph, weights, shape, precision, level, 1);
      Engine five = engine_for(graph, weights, shape, precision, level, 5);
      one.run(input);
      for (int i = 0; i < 3; ++i) {
        five.run(input);
        EXPECT_EQ(std::memcmp(one.output(0).bytes(), five.output(0).bytes(), one.output(0).byte_size()), 0)
            << cpu::simd_name(level) << ' ' << precision_name(precision);
      }
    }
}

// Products take two channels at a time: where the last has no neighbour, its place must not hold an earlier
// run's NaN.
TEST(LowPrecisionEngine, NaNOfAnEarlierRunIsGone) {
  for (const int channels : {4, 8, 16, 32}) {
    const Graph graph = testing::graph_of(channels, [&](GraphBuilder& g, Value x) {
      x = g.conv(x, "first", {.out = channels, .kernel = 3, .bias = true});
      x = g.conv(g.slice(x, 1, channels), "sliced", {.out = 64, .kernel = 3, .bias = true});
      for (const char* name : {"a", "b", "c"}) x = g.conv(x, name, {.out = 64, .kernel = 3, .bias = true});
      return g.conv(x, "out", {.out = 9, .bias = true});
    });
    const Weights weights = randomize(graph, 3);
    const Shape shape = {2, channels, 20, 12};
    const Tensor input = testing::noise(shape, 5);
    Tensor broken = input.clone();
    std::ranges::fill(broken.values(), std::nanf(""));
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      Engine engine = engine_for(graph, weights, shape, Precision::kBfloat16, level);
      engine.run(input);
      const Tensor wanted = engine.output(0).clone();
      engine.run(broken);
      engine.run(input);
      EXPECT_TRUE(std::ranges::equal(engine.output(0).values(), wanted.values()))
          << cpu::simd_name(level) << ", " << channels << " channels\n"
          << engine.describe();
    }
  }
}

// A convolution of one channel is dense and depthwise at once.
TEST(LowPrecisionEngine, OneChannelIsReadFromWithinABlock) {
  for (const int kernel : {1, 3}) {
    const Graph graph = quantised(testing::graph_of(8, [&](GraphBuilder& g, Value x) {
      x = g.conv(x, "first", {.out = 8, .bias = true});
      return g.conv(g.slice(x, 3, 4), "one", {.out = 1, .kernel = kernel, .bias = true});
    }));
    const Weights weights = randomize(graph, 3);
    const Shape shape = {2, 8, 20, 12};
    const Tensor input = testing::noise(shape, 5);
    const Tensor wanted = reference::run_reference(graph, weights, input, "out");
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      Engine engine = engine_for(graph, weights, shape, Precision::kBfloat16, level);
      engine.run(input);
      EXPECT_LE(relative_difference(engine.output(0), wanted), 0.02) << engine.describe();
    }
  }
}

// A map whose parts have different scales cannot lie in bytes as a whole.
TEST(LowPrecisionEngine, UnequalScalesAreConverted) {
  Graph graph = quantised(network(16));
  float scale = 0.01f;
  for (Node& node : graph.nodes) node.byte_scale = ByteScale{scale *= 1.1f, 40};
  const Weights weights = randomize(graph, 3);
  const Shape shape = {1, 16, 20, 12};
  const Tensor input = testing::noise(shape, 5);
  Engine engine = engine_for(graph, weights, shape, Precision::kInt8, cpu::available_simd_levels().back());
  engine.run(input);
  EXPECT_NE(engine.describe().find("convert to"), std::string::npos);
  EXPECT_LE(relative_difference(engine.output(0), reference::run_reference(graph, weights, input, "out")),
            0.2);
}

TEST(LowPrecisionEngine, Int8OfAModelThatIsNotQuantisedNamesTheCommand) {
  const Graph graph = network(8);
  const std::string message = marrow::testing::message_of([&] {
    engine_for(graph, randomize(graph, 3), {1, 8, 20, 12}, Precision::kInt8, cpu::SimdLevel::kPlain);
  });
  EXPECT_NE(message.find("marrow quantize"), std::string::npos) << message;
}

// A tile's arguments on numbers of its own: bytes from 0 to 255 and weights from -127 to 127, the extremes
// among them, so that 16 bits would overflow.
struct TileCase {
  int pixels, vectors, rows, taps, blocks, last_channels;
};

void expect_exact_byte_tile(const Kernels& kernels, const TileCase& c, bool extremes) {
  const LowPrecisionKernels& bytes = kernels.bytes;
  const int lanes = kernels.lanes;
  const int64_t width = c.pixels + c.taps - 1, channels = int64_t{c.blocks - 1} * lanes + c.last_channels;
  std::vector<uint8_t> src(static_cast<size_t>(c.blocks * c.rows * width * lanes));
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<uint8_t>(extremes ? 255 : i * 97 % 256);
  const auto weight = [&](int64_t channel, int row, int tap, int64_t output) {
    if (extremes) return output % 2 == 0 ? 127 : -127;
    return static_cast<int>((channel * 31 + row * 17 + tap * 5 + output * 3) % 255) - 127;
  };
  // Widened, there is one block of all channels.
  const bool widened = bytes.widen != nullptr;
  const int per_dword = widened ? 2 : 4, number = 4 / per_dword;
  const int blocks = widened ? 1 : c.blocks;
  std::vector<uint8_t> weights;
  for (int block = 0; block < blocks; ++block)
    for (int row = 0; row < c.rows; ++row)
      for (int tap = 0; tap < c.taps; ++tap)
        for (int64_t first = block * lanes; first < (block + 1 == blocks ? channels : (block + 1) * lanes);
             first += per_dword)
          for (int output = 0; output < c.vectors * lanes; ++output)
            for (int64_t channel = first; channel < first + per_dword; ++channel) {
              const auto w = static_cast<int16_t>(channel < channels ? weight(channel, row, tap, output) : 0);
              for (int byte = 0; byte < number; ++byte)
                weights.push_back(static_cast<uint8_t>(w >> (8 * byte) & 0xff));
            }
  std::vector<int32_t> start(static_cast<size_t>(c.vectors * lanes));
  std::vector<float> scale(start.size(), 1.f), bias(start.size(), 0.f);
  for (size_t i = 0; i < start.size(); ++i) start[i] = static_cast<int32_t>(i) * 1000 - 5000;
  std::vector<int16_t> wide(src.size());
  if (widened) bytes.widen(src.data(), c.rows * width * lanes, c.blocks, c.rows * width, wide.data());
  std::vector<float> dst(static_cast<size_t>(c.vectors * c.pixels * lanes));
  LowPrecisionTileArgs args = {};
  args.pixels = c.pixels;
  args.vectors = c.vectors;
  args.src = widened ? reinterpret_cast<const uint8_t*>(wide.data()) : src.data();
  args.src_pixel = args.src_tap = int64_t{lanes} * (widened ? 2 * c.blocks : 1);
  args.src_row = width * args.src_pixel;
  args.src_block = c.rows * args.src_row;
  args.rows = c.rows;
  args.taps = c.taps;
  args.blocks = blocks;
  args.dwords = lanes / per_dword;
  const auto last = static_cast<int>(widened ? channels : c.last_channels);
  args.last_dwords = (last + per_dword - 1) / per_dword;
  args.weights = weights.data();
  args.start = start.data();
  args.scale = scale.data();
  args.bias = bias.data();
  args.dst = dst.data();
  args.dst_block = int64_t{c.pixels} * lanes;
  bytes.tile(args);

  std::vector<float> wanted(dst.size());
  for (int output = 0; output < c.vectors * lanes; ++output)
    for (int pixel = 0; pixel < c.pixels; ++pixel) {
      int64_t sum = start[static_cast<size_t>(output)];
      for (int64_t channel = 0; channel < channels; ++channel)
        for (int row = 0; row < c.rows; ++row)
          for (int tap = 0; tap < c.taps; ++tap)
            sum += int64_t{src[static_cast<size_t>(
                       ((channel / lanes * c.rows + row) * width + pixel + tap) * lanes + channel % lanes)]} *
                   weight(channel, row, tap, output);
      wanted[static_cast<size_t>(((output / lanes) * c.pixels + pixel) * lanes + output % lanes)] =
          static_cast<float>(sum);
    }
  EXPECT_EQ(dst, wanted) << cpu::simd_name(kernels.level) << ' ' << bytes.name << ": " << c.pixels << " x "
                         << c.vectors << ", " << channels << " channels";
}

TEST(LowPrecisionKernels, ByteTilesAreExact) {
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    const Kernels& kernels = kernels_of(level);
    const int most = kernels.bytes.tile_pixels * (kernels.bytes.any_pixels ? 3 : 1);
    for (int pixels = 1; pixels <= most; ++pixels)
      for (int vectors = 1; vectors <= kernels.bytes.tile_vectors; ++vectors)
        for (const int blocks : {1, 3})
          for (int last = 1; last <= kernels.lanes; ++last)
            for (const bool extremes : {false, true}) {
              expect_exact_byte_tile(kernels, {pixels, vectors, 1, 1, blocks, last}, extremes);
              expect_exact_byte_tile(kernels, {pixels, vectors, 3, 2, blocks, last}, extremes);
            }
  }
}

// Every float32 that matters, at every level: the same bits.
TEST(LowPrecisionKernels, ConversionsEqualThePlainOnes) {
  std::vector<float> numbers = {0.f, -0.f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN, 1e-40f, 3.4e38f};
  for (int i = -3000; i < 3000; ++i) numbers.push_back(static_cast<float>(i) * 0.00525f);
  for (uint32_t i = 0; i < 100; ++i) numbers.push_back(std::bit_cast<float>(0x3f800000u + i * 0x1000u));
  const auto count = static_cast<int64_t>(numbers.size());
  for (const cpu::SimdLevel level : cpu::available_simd_levels())
    for (const Element element : {Element::kByte, Element::kBfloat16})
      for (const ByteScale scale : {kScale, ByteScale{0.5f, 0}, ByteScale{0.01f, 255}}) {
        const LowPrecisionKernels& plain = kernels_of(cpu::SimdLevel::kPlain).low_precision(element);
        const LowPrecisionKernels& fast = kernels_of(level).low_precision(element);
        std::vector<uint16_t> wanted(numbers.size()), found(numbers.size());
        plain.from_float32(numbers.data(), scale, wanted.data(), count);
        fast.from_float32(numbers.data(), scale, found.data(), count);
        EXPECT_EQ(found, wanted) << cpu::simd_name(level);
        std::vector<float> wanted_wide(numbers.size()), wide(numbers.size());
        plain.to_float32(wanted.data(), scale, wanted_wide.data(), count);
        fast.to_float32(wanted.data(), scale, wide.data(), count);
        EXPECT_EQ(std::memcmp(wide.data(), wanted_wide.data(), wide.size() * sizeof(float)), 0)
            << cpu::simd_name(level);
      }
}

// What falls between two steps may go either way.
TEST(LowPrecisionKernels, QuickSiluIsRightToOneStep) {
  std::vector<float> x = {0, -0.f, 1e30f, -1e30f, 88, -88, 300, -300};
  for (int i = -20000; i < 20000; ++i) x.push_back(static_cast<float>(i) * 0.001f);
  const auto count = static_cast<int64_t>(x.size());
  std::vector<float> exact(x.size());
  kernels_of(cpu::SimdLevel::kPlain)
      .unary[static_cast<size_t>(ActivationKind::kSilu)](x.data(), exact.data(), count, 0);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    const Kernels& kernels = kernels_of(level);
    std::vector<uint8_t> wanted(x.size()), bytes(x.size());
    kernels.bytes.from_float32(exact.data(), kScale, wanted.data(), count);
    kernels.bytes.silu_from_float32(x.data(), kScale, bytes.data(), count);
    std::vector<uint16_t> halves(x.size());
    kernels.bfloat16.silu_from_float32(x.data(), {}, halves.data(), count);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_LE(std::abs(bytes[i] - wanted[i]), 1) << cpu::simd_name(level) << ", x = " << x[i];
      float wide;
      kernels.bfloat16.to_float32(&halves[i], {}, &wide, 1);
      ASSERT_NEAR(wide, exact[i], 0.0045 * std::abs(exact[i]) + 1e-30)
          << cpu::simd_name(level) << ", x = " << x[i];
    }
  }
}

TEST(LowPrecisionKernels, Bfloat16RoundsToNearestEven) {
  const auto to_bits = [](uint32_t bits) {
    const float x = std::bit_cast<float>(bits);
    uint16_t half;
    kernels_of(cpu::SimdLevel::kPlain).bfloat16.from_float32(&x, {}, &half, 1);
    return half;
  };
  EXPECT_EQ(to_bits(0x3f808000), 0x3f80);  // half way, to even
  EXPECT_EQ(to_bits(0x3f818000), 0x3f82);
  EXPECT_EQ(to_bits(0x3f808001), 0x3f81);
  EXPECT_EQ(to_bits(0x7f7fffff), 0x7f80);  // beyond the largest: infinity
}

}  // namespace
}  // namespace marrow::engine
