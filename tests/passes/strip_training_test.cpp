#include "passes/strip_training.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "graph/builder.h"
#include "reference/executor.h"

namespace marrow {
namespace {

template <class Op>
int count(const Graph& graph) {
  return static_cast<int>(std::ranges::count_if(
      graph.nodes, [](const Node& node) { return std::holds_alternative<Op>(node.operation); }));
}

Tensor ramp(const Shape& shape) {
  Tensor tensor(shape);
  const auto values = tensor.values();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17) / 8 - 1;
  return tensor;
}

void expect_equal_outputs(const GraphWithWeights& a, const GraphWithWeights& b, const Tensor& input) {
  for (const NamedValue& output : a.graph.outputs)
    EXPECT_LT(relative_difference(run_reference(b.graph, b.weights, input, output.name),
                                  run_reference(a.graph, a.weights, input, output.name)),
              1e-6)
        << output.name;
}

TEST(StripTraining, RemovesDropoutAndDropPath) {
  GraphBuilder g;
  const Value x = g.input(3);
  const Value branch = g.drop_path(g.conv(x, "a", {.out = 3}), 0.3);
  Value y = g.dropout(g.add(x, branch), 0.5);
  g.tap("dropped", y);
  g.output("out", g.linear(g.flatten(g.global_average_pool(y)), "fc", 4));
  GraphWithWeights source{std::move(g).build(), {}};
  source.weights = randomize(source.graph, 1);
  const GraphWithWeights stripped = strip_training(source);
  EXPECT_EQ(count<Dropout>(stripped.graph) + count<DropPath>(stripped.graph), 0);
  EXPECT_TRUE(std::holds_alternative<Add>(stripped.graph.node(stripped.graph.find("dropped")).operation));
  expect_equal_outputs(source, stripped, ramp({2, 3, 4, 5}));
}

TEST(StripTraining, FoldsAScalingDropoutIntoTheLinearLayerThatAloneReadsIt) {
  for (const bool second_reader : {false, true}) {
    GraphBuilder g;
    const Value x = g.dropout(g.flatten(g.input(3)), 0.25, true);
    g.output("out", g.linear(x, "fc", 4));
    if (second_reader) g.output("raw", x);
    GraphWithWeights source{std::move(g).build(), {}};
    source.weights = randomize(source.graph, 2);
    const GraphWithWeights stripped = strip_training(source);
    EXPECT_EQ(count<Dropout>(stripped.graph), second_reader ? 1 : 0);
    expect_equal_outputs(source, stripped, ramp({2, 3, 1, 1}));
  }
}

TEST(StripTraining, RemovesLeakyReluOfSlopeExactlyOne) {
  for (const float slope : {1.f, 0.999f}) {
    GraphBuilder g;
    const std::string name = g.scalar("act_learn", 1);
    const Value named = g.leaky_relu(g.conv(g.input(3), "a", {.out = 4}), name);
    g.output("out", g.activation(named, Activation{ActivationKind::kLeakyRelu, slope, {}}));
    GraphWithWeights source{std::move(g).build(), {}};
    source.weights = randomize(source.graph, 2);
    source.weights.at("act_learn").values()[0] = slope;
    const GraphWithWeights stripped = strip_training(source);
    EXPECT_EQ(count<Activation>(stripped.graph), slope == 1 ? 0 : 2);
    EXPECT_EQ(stripped.graph.find_parameter("act_learn") == nullptr, slope == 1);
    expect_equal_outputs(source, stripped, ramp({1, 3, 2, 2}));
  }
}

}  // namespace
}  // namespace marrow
