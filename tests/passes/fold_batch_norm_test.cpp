#include "passes/fold_batch_norm.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "graph/builder.h"
#include "reference/executor.h"

namespace marrow {
namespace {

Tensor noise(const Shape& shape, uint64_t seed) {
  Tensor tensor(shape);
  Random random(seed, "noise");
  for (float& value : tensor.values()) value = static_cast<float>(random.normal());
  return tensor;
}

int count_norms(const Graph& graph) {
  return static_cast<int>(std::ranges::count_if(
      graph.nodes, [](const Node& node) { return std::holds_alternative<BatchNorm>(node.operation); }));
}

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
  const Graph graph = all_kinds();
  const Weights weights = randomize(graph, 5);
  const Weights before = weights;
  const GraphWithWeights folded = fold_batch_norm({graph, weights});
  EXPECT_EQ(count_norms(folded.graph), 0);
  verify(folded.graph, folded.weights);
  const Tensor input = noise({2, 3, 9, 11}, 1);
  for (const char* name : {"out", "plain"}) {
    const Tensor wanted = run_reference(graph, weights, input, name);
    EXPECT_LT(relative_difference(run_reference(folded.graph, folded.weights, input, name), wanted), 2e-6)
        << name;
  }
  for (const auto& [name, tensor] : before)
    EXPECT_TRUE(std::ranges::equal(tensor.to_float().values(), weights.at(name).to_float().values())) << name;
}

// One channel, numbers that can be checked by hand: s = 2 / sqrt(3.75 + 0.25) = 1, weight 3 -> 3,
// bias 1 * (0.5 - 4) + 10 = 6.5.
TEST(FoldBatchNorm, FollowsTheFormula) {
  enum Layer { kConv, kConvWithBias, kLinear };
  for (const Layer layer : {kConv, kConvWithBias, kLinear}) {
    const bool bias = layer != kConv;
    GraphBuilder g;
    const Value x = g.input(1);
    const Value y =
        layer == kLinear ? g.linear(g.flatten(x), "conv", 1) : g.conv(x, "conv", {.out = 1, .bias = bias});
    g.output("out", g.batch_norm(y, "bn", {.eps = 0.25}));
    const Graph graph = std::move(g).build();
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

TEST(FoldBatchNorm, DeclinesWhereSomethingElseReadsTheConvolution) {
  const auto norms_left = [](auto finish) {
    GraphBuilder g;
    const Value conv = g.conv(g.input(2), "conv", {.out = 4});
    finish(g, conv, g.batch_norm(conv, "bn"));
    const Graph graph = std::move(g).build();
    const Weights weights = randomize(graph, 3);
    const GraphWithWeights folded = fold_batch_norm({graph, weights});
    const Tensor input = noise({1, 2, 3, 3}, 4);
    EXPECT_LT(relative_difference(run_reference(folded.graph, folded.weights, input, "out"),
                                  run_reference(graph, weights, input, "out")),
              2e-6);
    return count_norms(folded.graph);
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

TEST(SelectOutputs, DropsWhatNobodyAskedFor) {
  const Graph graph = all_kinds();
  const Weights weights = randomize(graph, 5);
  const std::vector<std::string> names = {"plain"};
  const GraphWithWeights selected = select_outputs({graph, weights}, names);
  EXPECT_EQ(selected.graph.nodes.size(), 3u);  // input, conv, batch norm
  EXPECT_EQ(selected.graph.parameters.size(), 6u);
  EXPECT_EQ(selected.graph.outputs.size(), 1u);
  EXPECT_TRUE(selected.graph.taps.empty());
  verify(selected.graph, selected.weights);
}

}  // namespace
}  // namespace marrow
