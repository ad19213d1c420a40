// From numbers to scales, from images to a quantised graph.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "marrow/engine/engine.h"
#include "marrow/quantize/calibrate.h"
#include "marrow/quantize/quantizable.h"
#include "marrow/quantize/sensitivity.h"
#include "support/graphs.h"
#include "support/message_of.h"

namespace marrow::quantize {
namespace {

ByteScale scale_of(const std::vector<float>& numbers, RangeRule rule) {
  Histogram histogram;
  histogram.widen(numbers);
  histogram.count(numbers);
  return histogram.scale(rule);
}

std::vector<float> normal_numbers(int count) {
  const Tensor tensor = testing::noise({count}, 3);
  return {tensor.values().begin(), tensor.values().end()};
}

TEST(ByteRange, MinMaxSpansAllNumbers) {
  const ByteScale scale = scale_of({-1, 0.5f, 4.1f}, RangeRule::kMinMax);
  EXPECT_NEAR(scale.scale, 5.1 / 255, 1e-6);
  EXPECT_EQ(scale.zero_point, 50);
}

TEST(ByteRange, ZeroIsAlwaysInside) {
  for (const RangeRule rule : {RangeRule::kMse, RangeRule::kPercentile, RangeRule::kMinMax}) {
    EXPECT_EQ(scale_of({3, 3.5f, 4}, rule).zero_point, 0) << range_rule_name(rule);
    EXPECT_EQ(scale_of({-3, -3.5f, -4}, rule).zero_point, 255) << range_rule_name(rule);
  }
}

TEST(ByteRange, FewLargeNumbersAreCutOffForFinerSteps) {
  std::vector<float> numbers = normal_numbers(1'000'000);
  numbers.push_back(30);
  const float widest = scale_of(numbers, RangeRule::kMinMax).scale;
  EXPECT_LT(scale_of(numbers, RangeRule::kMse).scale, 0.6f * widest);
  EXPECT_LT(scale_of(numbers, RangeRule::kPercentile).scale, 0.4f * widest);
}

TEST(ByteRange, BrokenNumbersAndNoneGiveAScale) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const RangeRule rule : {RangeRule::kMse, RangeRule::kPercentile, RangeRule::kMinMax}) {
    EXPECT_EQ(scale_of({0, 0}, rule), (ByteScale{1, 0}));
    EXPECT_EQ(scale_of({}, rule), (ByteScale{1, 0}));
    const ByteScale scale = scale_of({NAN, kInfinity, -kInfinity, 2.55f}, rule);
    EXPECT_NEAR(scale.scale, 0.01, 2e-4) << range_rule_name(rule);
  }
}

// A stem, a block with a residual and a concatenation, squeeze-and-excite, and a last layer.
Graph network() {
  GraphBuilder g;
  Value x = g.activation(g.conv(g.input(3), "stem", {.out = 16, .kernel = 3, .stride = 2, .bias = true}),
                         ActivationKind::kSilu);
  const Value a =
      g.activation(g.conv(x, "block.a", {.out = 16, .kernel = 3, .bias = true}), ActivationKind::kSilu);
  const Value b =
      g.add(x, g.activation(g.conv(a, "block.b", {.out = 16, .bias = true}), ActivationKind::kSilu));
  x = g.concat({x, b, g.max_pool(b, 5, 1, 2)});
  Value gate = g.conv(g.global_average_pool(x), "gate", {.out = 48, .bias = true});
  x = g.multiply(x, g.activation(gate, ActivationKind::kSigmoid));
  x = g.activation(g.conv(x, "neck", {.out = 24, .bias = true}), ActivationKind::kSilu);
  g.output("out", g.conv(x, "last", {.out = 5, .bias = true}));
  return std::move(g).build();
}

std::vector<std::string> names_of(const Graph& graph, const std::vector<Value>& values) {
  std::vector<std::string> names;
  for (const Value value : values) names.push_back(graph.node(value).name);
  return names;
}

Value named(const Graph& graph, const std::string& name) {
  return {static_cast<int>(std::ranges::find(graph.nodes, name, &Node::name) - graph.nodes.begin())};
}

TEST(Quantizable, LeavesTheEndsAndPooledVectorsOut) {
  const Graph graph = network();
  EXPECT_EQ(names_of(graph, quantizable_layers(graph)),
            (std::vector<std::string>{"block.a", "block.b", "neck"}));
}

TEST(Quantizable, WhatIsMovedSharesAScale) {
  const Graph graph = network();
  const std::vector<int> groups = scale_groups(graph, quantizable_layers(graph));
  const auto group = [&](Value value) { return groups[static_cast<size_t>(value.id)]; };
  std::vector<Value> joined;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (std::holds_alternative<Concat>(graph.nodes[i].operation)) {
      joined = graph.nodes[i].inputs;
      joined.push_back({static_cast<int>(i)});
    }
  ASSERT_EQ(joined.size(), 4u);
  for (const Value value : joined) EXPECT_EQ(group(value), group(joined.front()));
  EXPECT_GE(group(joined.front()), 0);
  EXPECT_EQ(group(named(graph, "last")), -1);
  EXPECT_NE(group(graph.node(named(graph, "block.b")).inputs[0]), group(joined.front()));
}

struct Calibrated {
  passes::GraphWithWeights model;
  std::vector<Tensor> inputs;
};

Calibrated calibrated() {
  Calibrated result;
  const Graph graph = network();
  result.model = {graph, initialize(graph, 5)};
  for (uint64_t seed = 1; seed <= 3; ++seed) result.inputs.push_back(testing::noise({1, 3, 32, 40}, seed));
  result.model.graph = calibrate(result.model, result.inputs, RangeRule::kMse);
  return result;
}

TEST(Calibrate, AnInt8NetworkComputesNearlyTheSame) {
  Calibrated c = calibrated();
  std::vector<LayerError> layers = layer_errors(c.model, c.inputs);
  ASSERT_EQ(layers.size(), 3u);
  for (const LayerError& layer : layers) {
    EXPECT_GT(layer.error, 0) << layer.name;
    EXPECT_LT(layer.error, 1e-3) << layer.name;
  }
  const Graph graph = mark_int8(c.model.graph, layers);
  const Shape& shape = c.inputs[0].shape();
  engine::Engine exact(graph, c.model.weights, shape);
  engine::Engine bytes(graph, c.model.weights, shape, {}, {.precision = engine::Precision::kInt8});
  exact.run(c.inputs[0]);
  bytes.run(c.inputs[0]);
  const double difference = relative_difference(bytes.output(0), exact.output(0));
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 0.05);
}

TEST(Sensitivity, KeepsWhatLosesMostAndWhatIsAskedFor) {
  std::vector<LayerError> layers = {{{1}, "a.conv", 0.01}, {{2}, "a.other", 0.01}, {{3}, "ab.conv", 0.98}};
  keep_sensitive(layers, 0.5, {});
  EXPECT_EQ(layers[0].kept, "");
  EXPECT_EQ(layers[2].kept, "98 % of the error");
  const std::vector<std::string> names = {"a"};
  keep_sensitive(layers, 1, names);
  EXPECT_EQ(layers[0].kept, "asked for");
  EXPECT_EQ(layers[1].kept, "asked for");
  EXPECT_NE(layers[2].kept, "asked for");
  const std::vector<std::string> unknown = {"a.con"};
  EXPECT_NE(testing::message_of([&] { keep_sensitive(layers, 1, unknown); }).find("a.conv"),
            std::string::npos);
}

TEST(Sensitivity, FindsALayerWhoseChannelsDifferTooMuch) {
  Calibrated c = calibrated();
  // One channel a thousand times the others, which then lie within one step of a byte; what reads it makes up
  // for that.
  Tensor weight = c.model.weights.at("block.a.weight").clone();
  const auto per_output = static_cast<size_t>(weight.size() / 16);
  for (size_t i = 0; i < per_output; ++i) weight.values()[i] *= 1000;
  c.model.weights.at("block.a.weight") = weight;
  Tensor reader = c.model.weights.at("block.b.weight").clone();
  for (size_t output = 0; output < 16; ++output) reader.values()[output * 16] /= 1000;
  c.model.weights.at("block.b.weight") = reader;
  Graph plain = network();
  c.model.graph = calibrate({plain, c.model.weights}, c.inputs, RangeRule::kMinMax);
  std::vector<LayerError> layers = layer_errors(c.model, c.inputs);
  const auto worst = std::ranges::max_element(layers, {}, &LayerError::error);
  EXPECT_EQ(worst->name, "block.b") << "it reads what block.a writes";
}

}  // namespace
}  // namespace marrow::quantize
