// Whole small networks: fusion, views, threads, errors.
#include <fmt/format.h>

#include <thread>

#include "marrow/base/error.h"
#include "support.h"
#include "support/message_of.h"

namespace marrow::engine {
namespace {

using testing::expect_matches_reference;
using testing::graph_of;
using testing::noise;

// Rounding through a dozen layers.
constexpr double kDeep = 2e-5;

Value conv_norm(GraphBuilder& g, Value x, const std::string& name, const ConvOptions& options,
                ActivationKind activation = ActivationKind::kSilu) {
  return g.activation(g.batch_norm(g.conv(x, name, options), name + "_bn"), activation);
}

// Split, two residual branches, concatenation of slices with what came of them.
Value split_and_join(GraphBuilder& g, Value x, const std::string& name, int hidden, int out) {
  const auto scope = g.scope(name);
  const Value both = conv_norm(g, x, "cv1", {.out = 2 * hidden});
  std::vector<Value> parts = {g.slice(both, 0, hidden), g.slice(both, hidden, 2 * hidden)};
  for (int i = 0; i < 2; ++i) {
    const Value inner = conv_norm(g, parts.back(), fmt::format("a{}", i), {.out = hidden, .kernel = 3});
    parts.push_back(
        g.add(parts.back(), conv_norm(g, inner, fmt::format("b{}", i), {.out = hidden, .kernel = 3})));
  }
  return conv_norm(g, g.concat(parts), "cv2", {.out = out});
}

Graph detector(int width) {
  GraphBuilder g;
  Value x = conv_norm(g, g.input(3), "stem", {.out = width, .kernel = 3, .stride = 2});
  x = conv_norm(g, x, "down1", {.out = 2 * width, .kernel = 3, .stride = 2});
  const Value shallow = split_and_join(g, x, "c2f1", width, 2 * width);
  x = conv_norm(g, shallow, "down2", {.out = 4 * width, .kernel = 3, .stride = 2});
  const Value squeezed = conv_norm(g, x, "sppf1", {.out = 2 * width});
  std::vector<Value> pools = {squeezed};
  for (int i = 0; i < 3; ++i) pools.push_back(g.max_pool(pools.back(), 5, 1, 2));
  const Value deep = conv_norm(g, g.concat(pools), "sppf2", {.out = 4 * width});
  const Value merged = split_and_join(g, g.concat({g.upsample(deep, 2), shallow}), "c2f2", width, 2 * width);
  const Value again =
      g.concat({conv_norm(g, merged, "down3", {.out = 2 * width, .kernel = 3, .stride = 2}), deep});
  std::vector<Value> maps;
  for (const Value level : {merged, again}) {
    const auto scope = g.scope(fmt::format("head{}", maps.size()));
    const Value box =
        g.conv(conv_norm(g, level, "box1", {.out = 64, .kernel = 3}), "box2", {.out = 64, .bias = true});
    const Value cls =
        g.conv(conv_norm(g, level, "cls1", {.out = 20, .kernel = 3}), "cls2", {.out = 5, .bias = true});
    maps.push_back(g.concat({box, cls}));
  }
  g.output("detections", g.detect_decode(maps, "dfl", 5, 16));
  g.output("raw0", maps[0]);
  g.tap("merged", merged);
  g.tap("stem", conv_norm(g, x, "unused", {.out = 3}));
  return std::move(g).build();
}

TEST(EngineNetwork, DetectorMatchesReference) {
  for (const int width : {8, 16, 12})
    for (const int64_t images : {1, 3}) {
      SCOPED_TRACE(fmt::format("width {} images {}", width, images));
      expect_matches_reference(detector(width), {images, 3, 64, 96}, kDeep);
    }
}

TEST(EngineNetwork, ShuffleUnitsMatchReference) {
  for (const int channels : {32, 58, 116}) {
    SCOPED_TRACE(channels);
    const int half = channels / 2;
    expect_matches_reference(
        graph_of(3,
                 [&](GraphBuilder& g, Value x) {
                   x = conv_norm(g, x, "stem", {.out = channels, .kernel = 3, .stride = 2});
                   for (int i = 0; i < 3; ++i) {
                     const auto scope = g.scope(std::to_string(i));
                     Value y =
                         conv_norm(g, g.slice(x, half, channels), "a", {.out = half}, ActivationKind::kRelu);
                     y = g.batch_norm(g.conv(y, "dw", {.out = half, .kernel = 3, .groups = half}), "dw_bn");
                     y = conv_norm(g, y, "b", {.out = half}, ActivationKind::kRelu);
                     x = g.channel_shuffle(g.concat({g.slice(x, 0, half), y}), 2);
                   }
                   return x;
                 }),
        {2, 3, 21, 35}, kDeep);
  }
}

TEST(EngineNetwork, StarSqueezeAndClassifierMatchReference) {
  for (const int channels : {20, 24, 32}) {
    SCOPED_TRACE(channels);
    expect_matches_reference(
        graph_of(3,
                 [&](GraphBuilder& g, Value x) {
                   x = conv_norm(g, x, "stem", {.out = channels, .kernel = 3, .stride = 2},
                                 ActivationKind::kRelu6);
                   const Value shortcut = x;
                   x = g.batch_norm(g.conv(x, "dw", {.out = channels, .kernel = 7, .groups = channels}),
                                    "dw_bn");
                   const Value f1 = g.conv(x, "f1", {.out = 3 * channels, .bias = true});
                   const Value f2 = g.conv(x, "f2", {.out = 3 * channels, .bias = true});
                   x = g.multiply(g.activation(f1, ActivationKind::kRelu6), f2);
                   x = g.batch_norm(g.conv(x, "g", {.out = channels}), "g_bn");
                   x = g.add(shortcut, g.drop_path(x, 0.1));
                   Value gate = g.global_average_pool(x);
                   gate = g.activation(g.conv(gate, "se1", {.out = 5, .bias = true}), ActivationKind::kRelu);
                   gate = g.conv(gate, "se2", {.out = channels, .bias = true});
                   x = g.multiply(x, g.activation(gate, ActivationKind::kHardSigmoid));
                   x = g.activation(g.batch_norm(x, "last"), ActivationKind::kHardSwish);
                   x = g.flatten(g.global_average_pool(x));
                   x = g.dropout(g.activation(g.linear(x, "fc1", 37), ActivationKind::kHardSwish), 0.2, true);
                   return g.linear(x, "fc2", 10);
                 }),
        {2, 3, 37, 50}, kDeep);
  }
}

// Every way in which an input of a concatenation can be unfit to be written in place.
TEST(EngineNetwork, ConcatenationsOfUnfitPartsMatchReference) {
  GraphBuilder g;
  const Value x = g.input(3);
  const Value a = g.conv(x, "a", {.out = 16});
  const Value b = g.conv(x, "b", {.out = 10});
  const Value c = g.conv(x, "c", {.out = 48});
  const Value first = g.concat({a, b, a});               // unaligned, and one part twice
  const Value nested = g.concat({c, g.concat({a, c})});  // parts that lie elsewhere already
  const Value slices = g.concat({g.slice(c, 16, 48), g.slice(c, 0, 16), g.slice(b, 3, 9), x});
  const Value halves = g.concat({b, g.slice(first, 0, 16), g.slice(first, 16, 42)});
  g.output("first", g.conv(first, "d", {.out = 4, .kernel = 3}));
  g.output("nested", nested);
  g.output("slices", g.activation(slices, ActivationKind::kRelu));
  g.output("halves", g.max_pool(halves, 2, 2));
  g.output("input", x);
  g.output("again", nested);
  expect_matches_reference(std::move(g).build(), {2, 3, 6, 7}, 3e-6);
}

TEST(EngineNetwork, JoinsOfEveryFormMatchReference) {
  GraphBuilder g;
  const Value x = g.input(18);
  const auto relu = [&](Value v) { return g.activation(v, ActivationKind::kRelu); };
  const Value a = g.conv(x, "a", {.out = 18});
  const Value b = g.conv(x, "b", {.out = 18, .kernel = 3});
  const Value both = relu(g.add(a, b));   // two layers could take the sum
  const Value twice = g.add(both, both);  // one value on both sides
  const Value residual = relu(g.add(x, relu(g.conv(twice, "c", {.out = 18}))));
  const Value depthwise =
      g.multiply(residual, g.conv(residual, "dw", {.out = 18, .kernel = 3, .groups = 18}));
  const Value chain = relu(g.add(relu(relu(depthwise)), g.batch_norm(x, "bn")));
  const Value features = g.flatten(g.global_average_pool(chain));
  const Value left = g.linear(features, "left", 9);
  g.output("chain", chain);
  g.output("sum", g.activation(g.add(left, g.linear(features, "right", 9)), ActivationKind::kSigmoid));
  g.output("features", features);
  g.output("left", left);
  g.output("left_again", left);
  expect_matches_reference(std::move(g).build(), {2, 18, 9, 11}, kDeep);
}

TEST(EngineNetwork, RunsANetworkAsItWasTrainedWhenToldSo) {
  const Graph graph = detector(8);
  const Weights weights = randomize(graph, 7);
  const Tensor input = noise({1, 3, 64, 96}, 11);
  const Tensor wanted = reference::run_reference(graph, weights, input, "detections");
  for (const bool deploy : {true, false}) {
    Engine engine(graph, weights, input.shape(), {}, {.deploy = deploy});
    engine.run(input);
    EXPECT_LE(relative_difference(engine.output(0), wanted), kDeep);
    EXPECT_EQ(engine.describe().find("_bn") == std::string::npos, deploy) << engine.describe();
  }
}

TEST(EngineNetwork, OutputsAndTapsAreChosenByName) {
  const Graph graph = detector(8);
  const Weights weights = randomize(graph, 3);
  const Shape shape = {1, 3, 32, 32};
  const Tensor input = noise(shape, 4);
  const std::vector<std::string> names = {"merged", "detections"};
  Engine engine(graph, weights, shape, names);
  engine.run(input);
  ASSERT_EQ(engine.output_count(), 2u);
  for (size_t i = 0; i < names.size(); ++i)
    EXPECT_LT(
        relative_difference(engine.output(i), reference::run_reference(graph, weights, input, names[i])),
        kDeep);
}

TEST(EngineNetwork, ThreadsDoNotChangeAByte) {
  const Graph graph = detector(12);
  const Weights weights = randomize(graph, 3);
  const Shape shape = {2, 3, 96, 64};
  const Tensor input = noise(shape, 4);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    std::vector<float> wanted;
    for (const int threads : {1, 2, 3, 8}) {
      EngineOptions options{threads, std::string(cpu::simd_name(level))};
      Engine engine(graph, weights, shape, {}, options);
      for (int repeat = 0; repeat < 2; ++repeat) {
        engine.run(input);
        const auto values = engine.output(0).values();
        if (wanted.empty()) wanted.assign(values.begin(), values.end());
        EXPECT_TRUE(std::ranges::equal(values, wanted))
            << cpu::simd_name(level) << ", " << threads << " threads";
      }
    }
  }
}

TEST(EngineNetwork, EnginesRunInParallel) {
  const Graph graph = detector(8);
  const Weights weights = randomize(graph, 3);
  const Shape shape = {1, 3, 64, 64};
  const Tensor inputs[] = {noise(shape, 1), noise(shape, 2)};
  std::vector<std::thread> callers;
  for (const Tensor& input : inputs)
    callers.emplace_back([&] {
      const Tensor wanted = reference::run_reference(graph, weights, input, "detections");
      Engine engine(graph, weights, shape);
      for (int i = 0; i < 20; ++i) {
        engine.run(input);
        EXPECT_LT(relative_difference(engine.output(0), wanted), kDeep);
      }
    });
  for (std::thread& caller : callers) caller.join();
}

TEST(EngineNetwork, EnginesShareWeightsAndRunInParallel) {
  const Graph graph = detector(8);
  const Weights weights = randomize(graph, 3);
  const Shape shape = {1, 3, 64, 64};
  std::unique_ptr<Engine> first = std::make_unique<Engine>(graph, weights, shape);
  std::vector<Engine> engines;
  for (const int threads : {1, 2, 3}) engines.push_back(first->share(threads));
  first.reset();  // what is shared outlives the engine that made it
  std::vector<std::thread> callers;
  for (size_t i = 0; i < engines.size(); ++i)
    callers.emplace_back([&, i] {
      const Tensor input = noise(shape, i + 1);
      const Tensor wanted = reference::run_reference(graph, weights, input, "detections");
      for (int repeat = 0; repeat < 20; ++repeat) {
        engines[i].run(input);
        EXPECT_LT(relative_difference(engines[i].output(0), wanted), kDeep);
      }
    });
  for (std::thread& caller : callers) caller.join();
}

TEST(EngineNetwork, GivesItsOutputsAway) {
  const Graph graph = detector(8);
  const Weights weights = randomize(graph, 3);
  const Shape shape = {1, 3, 64, 64};
  Engine engine(graph, weights, shape);
  const Tensor first = noise(shape, 1), second = noise(shape, 2);
  engine.run(first);
  Tensor output(engine.output(0).shape());
  engine.swap_output(0, output);
  const float* place = engine.output(0).values().data();
  engine.run(second);
  EXPECT_EQ(engine.output(0).values().data(), place);
  EXPECT_LT(relative_difference(output, reference::run_reference(graph, weights, first, "detections")),
            kDeep);
  EXPECT_LT(
      relative_difference(engine.output(0), reference::run_reference(graph, weights, second, "detections")),
      kDeep);
  Tensor other({1, 2, 3});
  EXPECT_THROW(engine.swap_output(0, other), Error);
}

TEST(EngineNetwork, TakesMoreThreadsThanProcessors) {
  const Graph graph = detector(8);
  const Weights weights = randomize(graph, 3);
  const Tensor input = noise({1, 3, 64, 64}, 5);
  Engine engine(graph, weights, {1, 3, 64, 64}, {}, {.threads = 64});
  engine.run(input);
  EXPECT_LT(
      relative_difference(engine.output(0), reference::run_reference(graph, weights, input, "detections")),
      kDeep);
}

TEST(EngineNetwork, MovedEnginesStillRun) {
  const Graph graph = graph_of(3, [](GraphBuilder& g, Value x) { return g.conv(x, "a", {.out = 4}); });
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise({1, 3, 4, 4}, 2);
  Engine first(graph, weights, {1, 3, 4, 4});
  Engine second(std::move(first));
  second.run(input);
  EXPECT_LT(relative_difference(second.output(0), reference::run_reference(graph, weights, input, "out")),
            3e-6);
}

using testing::message_of;

TEST(EngineNetwork, RefusesWhatDoesNotFit) {
  const Graph graph = detector(8);
  Weights weights = randomize(graph, 3);
  const std::vector<std::string> typo = {"merge"};
  EXPECT_NE(message_of([&] {
              Engine(graph, weights, {1, 3, 32, 32}, typo);
            }).find("merged"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              Engine(graph, weights, {1, 4, 32, 32});
            }).find("(N, 3, H, W)"),
            std::string::npos);
  EXPECT_NE(message_of([&] { Engine(graph, weights, {1, 3, 36, 36}); }).find("concat"), std::string::npos);
  EXPECT_NE(message_of([&] {
              Engine(graph, weights, {1, 3, 1 << 15, 1 << 15});
            }).find("larger"),
            std::string::npos);
  Engine engine(graph, weights, {1, 3, 32, 32});
  EXPECT_EQ(message_of([&] {
              engine.run(Tensor({1, 3, 32, 31}));
            }),
            "the engine was compiled for an input of (1, 3, 32, 32), got F32 (1, 3, 32, 31)");
  EXPECT_THROW(engine.run(Tensor({1, 3, 32, 32}, DType::kUInt8)), Error);
  EXPECT_THROW(Engine(graph, weights, {1, 3, 32, 32}, {}, {.threads = -1}), Error);
  EXPECT_THROW(Engine(graph, weights, {1, 3, 32, 32}, {}, {.threads = 1 << 20}), Error);
  weights.erase("stem.weight");
  EXPECT_NE(message_of([&] {
              Engine(graph, weights, {1, 3, 32, 32});
            }).find("stem.weight"),
            std::string::npos);
}

}  // namespace
}  // namespace marrow::engine
