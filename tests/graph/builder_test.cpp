#include "marrow/graph/builder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "support/message_of.h"

namespace marrow {
namespace {

using testing::message_of;

TEST(GraphBuilder, ScopesYieldParameterNames) {
  GraphBuilder g;
  Value x = g.input(3);
  {
    auto model = g.scope("model");
    auto layer = g.scope("0");
    x = g.conv(x, "conv", {.out = 8, .kernel = 3, .stride = 2, .bias = true});
    x = g.batch_norm(x, "bn");
  }
  x = g.conv(x, "", {.out = 4});
  g.output("out", x);
  const Graph graph = std::move(g).build();
  ASSERT_EQ(graph.parameters.size(), 8u);
  EXPECT_EQ(graph.parameters[0].name, "model.0.conv.weight");
  EXPECT_EQ(graph.parameters[1].name, "model.0.conv.bias");
  EXPECT_EQ(graph.parameters[6].name, "model.0.bn.num_batches_tracked");
  EXPECT_EQ(graph.parameters[7].name, "weight");
  EXPECT_EQ(graph.node(x).channels, 4);
  EXPECT_EQ(graph.node(x).stride, 2);
}

TEST(GraphBuilder, RefusesWhatDoesNotMeet) {
  GraphBuilder g;
  const Value x = g.input(3);
  const Value half = g.conv(x, "a", {.out = 4, .kernel = 3, .stride = 2});
  const Value full = g.conv(x, "b", {.out = 4, .kernel = 3});
  EXPECT_EQ(message_of([&] {
              g.concat({full, half});
            }),
            "[concat]: inputs 0 (b) and 1 (a) have strides 1 and 2, so their maps differ in size");
  EXPECT_THROW(g.add(full, half), Error);
  EXPECT_THROW(g.add(full, x), Error);
  EXPECT_THROW(g.conv(x, "c", {.out = 4, .groups = 2}), Error);
  EXPECT_THROW(g.conv(x, "a", {.out = 4}), Error);  // a name twice
  EXPECT_THROW(g.slice(x, 2, 4), Error);
  EXPECT_THROW(g.slice(x, 0, 1, 2), Error);  // 3 channels in 2 groups
  EXPECT_THROW(g.slice(x, 0, 2, 3), Error);
  EXPECT_THROW(g.attention(x, {.heads = 1, .key_channels = 1, .value_channels = 2, .areas = 1}), Error);
  EXPECT_THROW(g.attention(x, {.heads = 1, .key_channels = 1, .value_channels = 1, .areas = 0}), Error);
  g.scale(x, "gamma", 1);
  EXPECT_THROW(g.scale(x, "gamma", 1), Error);
  EXPECT_THROW(g.channel_shuffle(x, 2), Error);
}

TEST(GraphBuilder, ScalarsAreSharedAndOptional) {
  GraphBuilder g;
  Value x = g.input(3);
  const std::string slope = g.scalar("act_learn", 1);
  x = g.leaky_relu(g.leaky_relu(x, slope), g.scalar("act_learn", 1));
  g.output("out", x);
  const Graph graph = std::move(g).build();
  ASSERT_EQ(graph.parameters.size(), 1u);
  EXPECT_TRUE(graph.parameters[0].optional());
  EXPECT_NO_THROW(verify(graph, Weights{}));
}

TEST(Shapes, SamePaddingFollowsTheSize) {
  const auto check = [](int64_t n, int kernel, int before, int after) {
    EXPECT_EQ(resolve_padding(Padding::tensorflow_same(), n, kernel, 2, 1), (Padding{before, after, false}));
  };
  check(224, 3, 0, 1);
  check(224, 5, 1, 2);
  check(75, 3, 1, 1);
  check(75, 5, 2, 2);
}

TEST(Shapes, FollowFloorsAndAdaptiveGrids) {
  GraphBuilder g;
  Value x = g.input(3);
  x = g.conv(x, "stem", {.out = 8, .kernel = 4, .stride = 3, .padding = Padding::symmetric(1)});
  const Value pooled = g.max_pool(x, 2, 2);
  const Value grid = g.adaptive_max_pool(pooled, 5);
  g.output("out", g.linear(g.flatten(g.global_average_pool(grid)), "fc", 10));
  const Graph graph = std::move(g).build();
  const auto shapes = infer_shapes(graph, {2, 3, 75, 61});
  EXPECT_EQ(shapes[1], (Shape{2, 8, 25, 20}));
  EXPECT_EQ(shapes[2], (Shape{2, 8, 12, 10}));
  EXPECT_EQ(shapes[3], (Shape{2, 8, 5, 5}));
  EXPECT_EQ(shapes.back(), (Shape{2, 10}));
  EXPECT_THROW(infer_shapes(graph, {1, 4, 75, 61}), Error);
  EXPECT_THROW(infer_shapes(graph, {1, 3, 1, 61}), Error);
}

TEST(Shapes, ConcatOfUnequalMapsNamesBoth) {
  GraphBuilder g;
  const Value x = g.input(3);
  const Value a = g.upsample(g.conv(x, "down", {.out = 4, .kernel = 3, .stride = 2}), 2);
  const Value b = g.conv(x, "side", {.out = 4, .kernel = 1});
  g.output("out", g.concat({a, b}));
  const Graph graph = std::move(g).build();
  EXPECT_NO_THROW(infer_shapes(graph, {1, 3, 8, 8}));
  const std::string message = message_of([&] { infer_shapes(graph, {1, 3, 7, 8}); });
  EXPECT_NE(message.find("differ in size: (1, 4, 8, 8) and (1, 4, 7, 8)"), std::string::npos) << message;
}

TEST(Graph, VerifyFindsBreakage) {
  GraphBuilder g;
  Value x = g.input(3);
  x = g.batch_norm(g.conv(x, "conv", {.out = 4, .kernel = 3}), "bn");
  g.output("out", x);
  const Graph good = std::move(g).build();

  Graph forward_edge = good;
  forward_edge.nodes[1].inputs[0].id = 2;
  EXPECT_THROW(verify(forward_edge), Error);
  Graph wrong_shape = good;
  wrong_shape.parameters[0].shape = {4, 3, 1, 1};
  EXPECT_THROW(verify(wrong_shape), Error);
  Graph no_input = good;
  no_input.nodes[2].inputs.clear();
  EXPECT_THROW(verify(no_input), Error);

  Weights weights = initialize(good, 7);
  EXPECT_NO_THROW(verify(good, weights));
  weights["conv.weight"] = Tensor({4, 3, 1, 1});
  EXPECT_EQ(message_of([&] { verify(good, weights); }),
            "tensor 'conv.weight' is (4, 3, 1, 1); the model wants (4, 3, 3, 3)");
  weights.erase("conv.weight");
  EXPECT_THROW(verify(good, weights), Error);
}

TEST(Graph, InitialWeightsDependOnSeedAndNameAlone) {
  const auto build = [](bool extra) {
    GraphBuilder g;
    Value x = g.input(3);
    if (extra) x = g.conv(x, "extra", {.out = 3});
    g.output("out", g.conv(x, "conv", {.out = 4, .kernel = 3, .bias = true}));
    return std::move(g).build();
  };
  const Weights a = initialize(build(false), 3);
  const Weights b = initialize(build(true), 3);
  EXPECT_EQ(relative_difference(a.at("conv.weight"), b.at("conv.weight")), 0);
  const Weights c = initialize(build(false), 4);
  EXPECT_GT(relative_difference(a.at("conv.weight"), c.at("conv.weight")), 0);
  for (const float w : a.at("conv.weight").values()) EXPECT_LT(std::abs(w), 1 / std::sqrt(27.f));
}

TEST(Graph, PrintsReadably) {
  GraphBuilder g;
  const Value x = g.input(3);
  auto scope = g.scope("model");
  g.output("out",
           g.activation(g.conv(x, "conv", {.out = 4, .kernel = 3, .stride = 2}), ActivationKind::kSilu));
  EXPECT_EQ(
      to_string(g.graph()),
      "%0    input 3 channels rgb scale 0.00392156862745098 mean 0,0,0 std 1,1,1 resize 0 crop 0 bilinear   "
      "3 channels, stride 1\n"
      "%1    conv 3x3/2 padding 1 -> 4   <- %0   4 channels, stride 2   model.conv\n"
      "        weight model.conv.weight (4, 3, 3, 3)\n"
      "%2    silu   <- %1   4 channels, stride 2   model\n"
      "output out = %2\n");
}

Place place_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.place();
  }
  return {.file = "nothing was thrown"};
}

TEST(Builder, AnErrorCarriesTheScopeOfItsLayer) {
  GraphBuilder g;
  const Value image = g.input(3);
  const auto scope = g.scope("stem");
  EXPECT_EQ(place_of([&] { g.slice(image, 1, 9); }), (Place{.node = "stem"}));
}

TEST(InferShapes, AnErrorCarriesTheNameOfItsNode) {
  GraphBuilder g;
  const Value image = g.input(3);
  const auto scope = g.scope("stem");
  g.output("out", g.conv(image, "conv", {.out = 4, .kernel = 5, .padding = Padding::symmetric(0)}));
  const Graph graph = std::move(g).build();
  EXPECT_TRUE(graph.nodes.at(1).name.starts_with("stem"));
  EXPECT_EQ(place_of([&] { infer_shapes(graph, {1, 3, 4, 4}); }), (Place{.node = graph.nodes.at(1).name}));
}

}  // namespace
}  // namespace marrow
