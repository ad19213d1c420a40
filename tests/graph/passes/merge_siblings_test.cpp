#include "marrow/graph/passes/merge_siblings.h"

#include "graph/passes/support.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::graph_of;
using testing::with_random_weights;

TEST(MergeSiblings, JoinsPointwiseConvolutionsOfOneInput) {
  for (const bool first_bias : {false, true}) {
    const GraphWithWeights source = with_random_weights(graph_of(5, [&](GraphBuilder& g, Value x) {
      const Value a = g.activation(g.conv(x, "f1", {.out = 8, .bias = first_bias}), ActivationKind::kRelu6);
      return g.multiply(a, g.conv(x, "f2", {.out = 8, .bias = true}));
    }));
    const GraphWithWeights merged = merge_siblings(source);
    EXPECT_EQ(count<Conv>(merged.graph), 1);
    EXPECT_EQ(count<Slice>(merged.graph), 2);
    EXPECT_EQ(merged.weights.at("f1.weight").shape(), (Shape{16, 5, 1, 1}));
    EXPECT_FALSE(merged.weights.contains("f2.weight"));
    expect_equal(source, merged, 1e-12);
  }
}

TEST(MergeSiblings, LeavesThoseThatDiffer) {
  const auto convs_left = [](const ConvOptions& first, const ConvOptions& second) {
    GraphBuilder g;
    const Value x = g.input(4);
    g.output("a", g.conv(x, "a", first));
    g.output("b", g.conv(x, "b", second));
    const GraphWithWeights source = with_random_weights(std::move(g).build());
    const GraphWithWeights merged = merge_siblings(source);
    expect_equal(source, merged, 1e-12);
    return count<Conv>(merged.graph);
  };
  EXPECT_EQ(convs_left({.out = 3, .stride = 2}, {.out = 5, .stride = 2}), 1);
  EXPECT_EQ(convs_left({.out = 3}, {.out = 5, .stride = 2}), 2);
  EXPECT_EQ(convs_left({.out = 3}, {.out = 5, .kernel = 3}), 2);
  EXPECT_EQ(convs_left({.out = 4, .groups = 2}, {.out = 4, .groups = 2}), 2);
  EXPECT_EQ(convs_left({.out = 3, .padding = Padding::symmetric(1)}, {.out = 5}), 2);
}

}  // namespace
}  // namespace marrow::passes
