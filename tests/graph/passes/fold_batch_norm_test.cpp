#include "marrow/graph/passes/fold_batch_norm.h"

#include "graph/passes/support.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::graph_of;
using testing::with_random_weights;

// Every kind of convolution that can absorb a batch norm, with and without a bias of its own.
Graph all_kinds() {
  GraphBuilder g;
  Value x = g.input(3);
  x = g.batch_norm(g.conv(x, "plain", {.out = 6, .kernel = 3, .stride = 2}), "plain_bn", {.eps = 1e-3});
  g.tap("plain", x);
  x = g.activation(x, ActivationKind::kSilu);
  x = g.batch_norm(g.conv(x, "biased", {.out = 8, .bias = true}), "biased_bn");
  x = g.batch_norm(g.conv(x, "depthwise", {.out = 8, .kernel = 5, .groups = 8}), "depthwise_bn");
  x = g.batch_norm(g.conv_transpose(x, "up", 5, 2, 2), "up_bn");
  g.output("out", x);
  return std::move(g).build();
}

TEST(FoldBatchNorm, KeepsOutputsAndTapsForEveryKindOfConvolution) {
  const GraphWithWeights source = with_random_weights(all_kinds(), 5);
  const Weights before = source.weights;
  const GraphWithWeights folded = fold_batch_norm(source);
  EXPECT_EQ(count<BatchNorm>(folded.graph), 0);
  expect_equal(source, folded);
  for (const auto& [name, tensor] : before)
    EXPECT_TRUE(std::ranges::equal(tensor.to_float().values(), source.weights.at(name).to_float().values()))
        << name;
}

// What was an average is a weight like others after it.
TEST(FoldBatchNorm, FreesFixedWeights) {
  GraphBuilder g;
  Value x = g.input(3);
  x = g.average_pool(x, 2, 2);
  {
    const auto scope = g.scope("last");
    x = g.batch_norm(g.average_pool(x, 2, 2), "bn");
  }
  g.output("out", x);
  const GraphWithWeights folded = fold_batch_norm(with_random_weights(std::move(g).build(), 5));
  EXPECT_EQ(count<BatchNorm>(folded.graph), 0);
  EXPECT_EQ(folded.graph.find_parameter("average.weight")->role, ParameterRole::kFixed);
  EXPECT_EQ(folded.graph.find_parameter("last.average.weight")->role, ParameterRole::kWeight);
}

// One channel, numbers that can be checked by hand: s = 2 / sqrt(3.75 + 0.25) = 1, weight 3 -> 3,
// bias 1 * (0.5 - 4) + 10 = 6.5.
TEST(FoldBatchNorm, FollowsTheFormula) {
  enum Layer { kConv, kConvWithBias, kLinear };
  for (const Layer layer : {kConv, kConvWithBias, kLinear}) {
    const bool bias = layer != kConv;
    const Graph graph = graph_of(1, [&](GraphBuilder& g, Value x) {
      const Value y =
          layer == kLinear ? g.linear(g.flatten(x), "conv", 1) : g.conv(x, "conv", {.out = 1, .bias = bias});
      return g.batch_norm(y, "bn", {.eps = 0.25});
    });
    Weights weights = initialize(graph, 0);
    const auto set = [&](const char* name, float value) { weights.at(name).values()[0] = value; };
    set("conv.weight", 3);
    if (bias) set("conv.bias", 0.5);
    set("bn.weight", 2);
    set("bn.bias", 10);
    set("bn.running_mean", 4);
    set("bn.running_var", 3.75);
    const GraphWithWeights folded = fold_batch_norm({graph, weights});
    EXPECT_EQ(folded.weights.at("conv.weight").values()[0], 3);
    EXPECT_EQ(folded.weights.at("conv.bias").values()[0], bias ? 6.5f : 6.f);
    EXPECT_EQ(folded.graph.parameters.size(), 2u);
    EXPECT_EQ(folded.weights.size(), 2u);
  }
}

TEST(FoldBatchNorm, FoldsABatchNormThatFollowsABatchNorm) {
  const GraphWithWeights source = with_random_weights(graph_of(3, [](GraphBuilder& g, Value x) {
    return g.batch_norm(g.batch_norm(g.conv(x, "conv", {.out = 5}), "bn1"), "bn2");
  }));
  const GraphWithWeights folded = fold_batch_norm(source);
  EXPECT_EQ(count<BatchNorm>(folded.graph), 0);
  expect_equal(source, folded);
}

TEST(FoldBatchNorm, DeclinesWhereSomethingElseReadsTheConvolution) {
  const auto norms_left = [](auto finish) {
    GraphBuilder g;
    const Value conv = g.conv(g.input(2), "conv", {.out = 4});
    finish(g, conv, g.batch_norm(conv, "bn"));
    const GraphWithWeights source = with_random_weights(std::move(g).build(), 3);
    const GraphWithWeights folded = fold_batch_norm(source);
    expect_equal(source, folded);
    return count<BatchNorm>(folded.graph);
  };
  EXPECT_EQ(norms_left([](GraphBuilder& g, Value, Value norm) { g.output("out", norm); }), 0);
  EXPECT_EQ(norms_left([](GraphBuilder& g, Value conv, Value norm) { g.output("out", g.add(conv, norm)); }),
            1);
  EXPECT_EQ(norms_left([](GraphBuilder& g, Value conv, Value norm) {
              g.output("out", norm);
              g.tap("raw", conv);
            }),
            1);
}

TEST(FoldBatchNorm, SplitsOverAConcatWhenEachInputCanTakeItsPart) {
  enum Second { kLayer, kActivation, kReadTwice };
  for (const Second second : {kLayer, kActivation, kReadTwice}) {
    GraphBuilder g;
    const Value x = g.input(3);
    const Value a = g.batch_norm(g.conv(x, "a", {.out = 5, .kernel = 3, .bias = true}), "a_bn");
    Value b = g.conv(x, "b", {.out = 2});
    if (second == kActivation) b = g.activation(b, ActivationKind::kRelu);
    g.output("out", g.batch_norm(g.concat({a, b}), "bn"));
    if (second == kReadTwice) g.output("b", b);
    const GraphWithWeights source = with_random_weights(std::move(g).build(), 4);
    const GraphWithWeights folded = fold_batch_norm(source);
    EXPECT_EQ(count<BatchNorm>(folded.graph), second == kLayer ? 0 : 1);
    expect_equal(source, folded);
  }
}

// relu, batch norm, then the layer that `after` adds.
GraphWithWeights norm_before(const std::function<Value(GraphBuilder&, Value)>& after) {
  return with_random_weights(graph_of(4, [&](GraphBuilder& g, Value x) {
    return after(g, g.batch_norm(g.activation(x, ActivationKind::kRelu), "bn"));
  }));
}

TEST(FoldBatchNorm, GoesIntoTheUnpaddedLayerBehindIt) {
  const auto folds = [](const std::function<Value(GraphBuilder&, Value)>& after) {
    const GraphWithWeights source = norm_before(after);
    const GraphWithWeights folded = fold_batch_norm(source);
    EXPECT_EQ(count<BatchNorm>(folded.graph), 0);
    expect_equal(source, folded);
  };
  folds([](GraphBuilder& g, Value x) { return g.conv(x, "a", {.out = 3}); });
  folds([](GraphBuilder& g, Value x) { return g.conv(x, "a", {.out = 3, .stride = 2, .bias = true}); });
  folds([](GraphBuilder& g, Value x) {
    return g.conv(x, "a", {.out = 6, .kernel = 3, .groups = 2, .padding = Padding{0, 0}, .bias = true});
  });
  folds([](GraphBuilder& g, Value x) {
    return g.conv(x, "a", {.out = 8, .kernel = 3, .groups = 4, .padding = Padding{0, 0}});
  });
  folds([](GraphBuilder& g, Value x) {
    return g.conv(x, "a", {.out = 3, .padding = Padding::tensorflow_same()});
  });
}

TEST(FoldBatchNorm, GoesThroughGlobalPoolingIntoTheLayerBehind) {
  for (const bool gate : {false, true}) {
    const GraphWithWeights source = norm_before([&](GraphBuilder& g, Value x) {
      x = g.global_average_pool(x);
      return gate ? g.conv(x, "fc", {.out = 3}) : g.linear(g.flatten(x), "fc", 3);
    });
    const GraphWithWeights folded = fold_batch_norm(source);
    EXPECT_EQ(count<BatchNorm>(folded.graph), 0);
    expect_equal(source, folded);
  }
}

TEST(FoldBatchNorm, ShiftsNoZerosOfAPaddedConvolution) {
  for (const Padding& padding : {Padding::symmetric(1), Padding::tensorflow_same(), Padding{0, 1}})
    for (const bool shifts : {true, false}) {
      GraphWithWeights source = norm_before([&](GraphBuilder& g, Value x) {
        return g.conv(x, "a", {.out = 3, .kernel = 3, .padding = padding});
      });
      if (!shifts)
        for (const char* name : {"bn.bias", "bn.running_mean"}) source.weights.at(name) = Tensor({4});
      const GraphWithWeights folded = fold_batch_norm(source);
      EXPECT_EQ(count<BatchNorm>(folded.graph), shifts ? 1 : 0);
      expect_equal(source, folded);
    }
}

TEST(FoldBatchNorm, StaysBeforeALayerThatIsNotItsOnlyReader) {
  GraphBuilder g;
  const Value norm = g.batch_norm(g.activation(g.input(4), ActivationKind::kRelu), "bn");
  g.output("out", g.conv(norm, "a", {.out = 3}));
  g.output("norm", norm);
  const GraphWithWeights source = with_random_weights(std::move(g).build());
  const GraphWithWeights folded = fold_batch_norm(source);
  EXPECT_EQ(count<BatchNorm>(folded.graph), 1);
  expect_equal(source, folded);
}

TEST(SelectOutputs, DropsWhatNobodyAskedFor) {
  const GraphWithWeights source = with_random_weights(all_kinds(), 5);
  const std::vector<std::string> names = {"plain"};
  const GraphWithWeights selected = select_outputs(source, names);
  EXPECT_EQ(selected.graph.nodes.size(), 3u);  // input, conv, batch norm
  EXPECT_EQ(selected.graph.parameters.size(), 6u);
  EXPECT_EQ(selected.graph.outputs.size(), 1u);
  EXPECT_TRUE(selected.graph.taps.empty());
  verify(selected.graph, selected.weights);
}

}  // namespace
}  // namespace marrow::passes
