// 1x1 convolutions whose result only a depthwise one reads, computed some rows at a time.
#include "marrow/graph/builder.h"
#include "support.h"

namespace marrow::engine {
namespace {

constexpr double kExpandTolerance = 5e-6;  // of the largest output

struct Pair {
  int in, wide, kernel, stride;
  int64_t images, height, width;
};

// `tapped`: the map between the two is an output too, so that it has to be in memory.
Graph pair_of(const Pair& pair, bool tapped) {
  GraphBuilder g;
  Value x = g.input(pair.in);
  x = g.add(x, x);  // makes the map blocked
  x = g.activation(g.conv(x, "expand", {.out = pair.wide, .bias = true}), ActivationKind::kSilu);
  const Value wide = x;
  x = g.conv(
      x, "dw",
      {.out = pair.wide, .kernel = pair.kernel, .stride = pair.stride, .groups = pair.wide, .bias = true});
  g.output("out", g.activation(x, ActivationKind::kRelu));
  if (tapped) g.output("wide", wide);
  return std::move(g).build();
}

bool expands(const Graph& graph, const Shape& input, const EngineOptions& options = {}) {
  return testing::runs("expand 1x1", graph, input, options);
}

std::vector<float> run(const Graph& graph, const Weights& weights, const Tensor& input, int threads,
                       cpu::SimdLevel level) {
  Engine engine(graph, weights, input.shape(), {}, {threads, std::string(cpu::simd_name(level))});
  engine.run(input);
  const auto values = engine.output(0).values();
  return {values.begin(), values.end()};
}

// Against the reference, and bit for bit against the two steps apart, for any number of threads.
void check(const Pair& pair) {
  SCOPED_TRACE(::testing::Message() << pair.in << " -> " << pair.wide << " " << pair.kernel << "/"
                                    << pair.stride << " " << pair.images << " images " << pair.height << " x "
                                    << pair.width);
  const Graph graph = pair_of(pair, false), apart = pair_of(pair, true);
  const Shape shape = {pair.images, pair.in, pair.height, pair.width};
  EXPECT_TRUE(expands(graph, shape, {.threads = 1}));
  EXPECT_FALSE(expands(apart, shape, {.threads = 1}));
  testing::expect_matches_reference(graph, shape, kExpandTolerance);
  const Weights weights = randomize(graph, 5);
  const Tensor input = testing::noise(shape, 6);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    const std::vector<float> wanted = run(apart, weights, input, 1, level);
    for (const int threads : {1, 2, 3})
      EXPECT_EQ(run(graph, weights, input, threads, level), wanted)
          << cpu::simd_name(level) << ", " << threads << " threads";
  }
}

TEST(ExpandDepthwise, EqualsTheTwoStepsForAnyShape) {
  for (const int kernel : {3, 5, 7})
    for (const int stride : {1, 2}) {
      check({5, 20, kernel, stride, 2, 13, 11});
      check({16, 96, kernel, stride, 1, 40, 7});
      check({24, 25, kernel, stride, 1, 3, 2});  // less than a kernel
      check({8, 17, kernel, stride, 1, 12, 20});
    }
  check({1, 7, 3, 1, 3, 1, 1});
  check({9, 33, 4, 3, 1, 17, 10});
  check({9, 33, 2, 3, 1, 17, 10});  // rows that nobody reads
}

// More than the scratch holds at once.
TEST(ExpandDepthwise, KeepsTheRowsThatTheNextOnesRead) {
  for (const int kernel : {3, 5, 7})
    for (const int stride : {1, 2}) check({3, 20, kernel, stride, 1, 19, 1201});
}

TEST(ExpandDepthwise, PadsOneSideAndJoins) {
  GraphBuilder g;
  Value x = g.input(12);
  x = g.add(x, x);
  Value y = g.activation(g.conv(x, "expand", {.out = 40, .bias = true}), ActivationKind::kHardSwish);
  y = g.conv(y, "dw", {.out = 40, .kernel = 3, .groups = 40, .padding = Padding{.before = 0, .after = 2}});
  const Value other = g.conv(x, "other", {.out = 40, .bias = true});
  g.output("out", g.activation(g.add(y, other), ActivationKind::kRelu));
  const Graph graph = std::move(g).build();
  testing::expect_matches_reference(graph, {2, 12, 15, 9}, kExpandTolerance);
  EXPECT_TRUE(expands(graph, {2, 12, 15, 9}));
}

TEST(ExpandDepthwise, ReadsScatteredChannels) {
  GraphBuilder g;
  Value x = g.input(30);
  x = g.channel_shuffle(g.add(x, x), 3);
  Value y = g.activation(g.conv(x, "expand", {.out = 37, .bias = true}), ActivationKind::kRelu);
  g.output("out", g.conv(y, "dw", {.out = 37, .kernel = 3, .stride = 2, .groups = 37, .bias = true}));
  const Graph graph = std::move(g).build();
  testing::expect_matches_reference(graph, {2, 30, 15, 10}, kExpandTolerance);
  EXPECT_TRUE(expands(graph, {2, 30, 15, 10}));
}

// Whether the pair is one step follows the number of threads, and where the maps behind it lie follows that.
TEST(ExpandDepthwise, WhatReadsTheMapsBehindItAddsInOneOrder) {
  const Graph graph = testing::graph_of(12, [](GraphBuilder& g, Value x) {
    x = g.add(x, x);
    Value y = g.conv(x, "expand", {.out = 36, .bias = true});
    y = g.conv(y, "dw", {.out = 36, .kernel = 3, .stride = 2, .groups = 36, .bias = true});
    const Value other = g.conv(x, "other", {.out = 16, .kernel = 3, .stride = 2, .bias = true});
    return g.conv(g.concat({y, other}), "both", {.out = 24, .bias = true});
  });
  const Shape shape = {1, 12, 18, 18};
  EXPECT_TRUE(expands(graph, shape, {.threads = 1}));
  EXPECT_FALSE(expands(graph, shape, {.threads = 40}));
  EXPECT_TRUE(testing::runs("scattered", graph, shape));
  testing::expect_same_on_threads(graph, shape, {2, 3, 7, 40});
}

TEST(ExpandDepthwise, TheWideMapTakesNoMemory) {
  const Pair pair = {8, 96, 3, 2, 1, 64, 64};
  const auto arena = [&](bool tapped) {
    const Graph graph = pair_of(pair, tapped);
    const std::string text = Engine(graph, randomize(graph, 1), {1, 8, 64, 64}).describe();
    return std::stoll(text.substr(text.find("arena ") + 6));
  };
  EXPECT_LT(arena(false), 96 * 64 * 64 * 4);
  EXPECT_GT(arena(true), 96 * 64 * 64 * 4);
}

TEST(ExpandDepthwise, LeavesWhatOthersReadAndWhatGainsNothing) {
  EXPECT_FALSE(expands(pair_of({97, 192, 3, 1, 1, 9, 9}, false), {1, 97, 9, 9}));
  EXPECT_FALSE(expands(pair_of({24, 16, 3, 1, 1, 9, 9}, false), {1, 24, 9, 9}));
  EXPECT_FALSE(expands(pair_of({8, 24, 3, 1, 1, 9, 9}, false), {1, 8, 9, 9},
                       {.threads = 2, .precision = Precision::kBfloat16}));
  EXPECT_FALSE(expands(pair_of({8, 24, 3, 1, 1, 9, 9}, false), {1, 8, 9, 9}, {.threads = 40}));
  const auto read_by = [](const std::function<Value(GraphBuilder&, Value)>& reader) {
    return testing::graph_of(8, [&](GraphBuilder& g, Value x) {
      x = g.conv(g.add(x, x), "expand", {.out = 32, .bias = true});
      return reader(g, x);
    });
  };
  const auto dw = [](GraphBuilder& g, Value x, int dilation) {
    const int channels = static_cast<int>(g.channels(x));
    return g.conv(x, "dw", {.out = channels, .kernel = 3, .dilation = dilation, .groups = channels});
  };
  const Graph graphs[] = {
      read_by([&](GraphBuilder& g, Value x) { return dw(g, x, 2); }),
      read_by([&](GraphBuilder& g, Value x) { return g.add(dw(g, x, 1), x); }),
      read_by([&](GraphBuilder& g, Value x) {
        return g.concat({dw(g, x, 1), g.slice(x, 0, 16)});
      }),
      read_by([&](GraphBuilder& g, Value x) {
        return dw(g, g.concat({x, x}), 1);
      }),
      read_by([&](GraphBuilder& g, Value x) { return dw(g, g.slice(x, 16, 32), 1); }),
      read_by([&](GraphBuilder& g, Value x) {
        return g.conv(x, "grouped", {.out = 32, .kernel = 3, .groups = 16});
      }),
  };
  for (const Graph& graph : graphs) {
    testing::expect_matches_reference(graph, {2, 8, 9, 7}, kExpandTolerance);
    EXPECT_FALSE(expands(graph, {2, 8, 9, 7}));
  }
}

}  // namespace
}  // namespace marrow::engine
