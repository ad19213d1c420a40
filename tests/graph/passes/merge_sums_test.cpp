#include "marrow/graph/passes/merge_sums.h"

#include "graph/passes/support.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::graph_of;
using testing::with_random_weights;

TEST(MergeSums, AddsTheSmallKernelIntoTheLargeOne) {
  for (const int groups : {1, 2, 6})
    for (const bool bias : {false, true})
      for (const int stride : {1, 2}) {
        const GraphWithWeights source = with_random_weights(graph_of(6, [&](GraphBuilder& g, Value x) {
          const Value wide = g.conv(x, "wide", {.out = 6, .kernel = 7, .stride = stride, .groups = groups});
          const Value narrow =
              g.conv(x, "narrow", {.out = 6, .kernel = 3, .stride = stride, .groups = groups, .bias = bias});
          const Value point =
              g.conv(x, "point", {.out = 6, .stride = stride, .groups = groups, .bias = true});
          return g.activation(g.add(point, g.add(narrow, wide)), ActivationKind::kSilu);
        }));
        const GraphWithWeights merged = merge_sums(source);
        EXPECT_EQ(count<Conv>(merged.graph), 1);
        EXPECT_EQ(count<Add>(merged.graph), 0);
        EXPECT_EQ(merged.weights.at("wide.weight").shape(), (Shape{6, 6 / groups, 7, 7}));
        EXPECT_FALSE(merged.weights.contains("narrow.weight"));
        expect_equal(source, merged, 1e-6);
      }
}

TEST(MergeSums, LeavesWhatDiffersOrIsReadElsewhere) {
  const auto convs_left = [](const std::function<Value(GraphBuilder&, Value)>& body) {
    const GraphWithWeights source = with_random_weights(graph_of(4, body));
    const GraphWithWeights merged = merge_sums(source);
    expect_equal(source, merged, 1e-6);
    return count<Conv>(merged.graph);
  };
  const auto sum_of = [&](const ConvOptions& first, const ConvOptions& second) {
    return convs_left(
        [&](GraphBuilder& g, Value x) { return g.add(g.conv(x, "a", first), g.conv(x, "b", second)); });
  };
  EXPECT_EQ(sum_of({.out = 4, .kernel = 3}, {.out = 4, .kernel = 5}), 1);
  EXPECT_EQ(sum_of({.out = 4, .kernel = 3}, {.out = 4, .kernel = 3, .groups = 2}), 2);
  EXPECT_EQ(sum_of({.out = 4, .kernel = 3, .dilation = 2}, {.out = 4, .kernel = 5}), 2);
  EXPECT_EQ(sum_of({.out = 4, .kernel = 3, .padding = Padding::tensorflow_same()}, {.out = 4, .kernel = 5}),
            2);
  // The taps of one lie beside those of the other.
  EXPECT_EQ(sum_of({.out = 4, .kernel = 3, .padding = Padding{2, 0}}, {.out = 4, .kernel = 3}), 2);
  EXPECT_EQ(convs_left([](GraphBuilder& g, Value x) {
              const Value a = g.conv(x, "a", {.out = 4, .kernel = 3});
              return g.multiply(a, g.add(a, g.conv(x, "b", {.out = 4})));
            }),
            2);
  EXPECT_EQ(convs_left([](GraphBuilder& g, Value x) {
              return g.add(g.conv(x, "a", {.out = 4}),
                           g.conv(g.activation(x, ActivationKind::kRelu), "b", {.out = 4}));
            }),
            2);
}

}  // namespace
}  // namespace marrow::passes
