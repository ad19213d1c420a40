#include "marrow/graph/passes/merge_linear.h"

#include "graph/passes/support.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::graph_of;
using testing::with_random_weights;

// Two convolutions in a row; how many are left when the pass has run. Outputs must not change.
int left_of_pair(int in, const ConvOptions& first, const ConvOptions& second) {
  const GraphWithWeights source = with_random_weights(
      graph_of(in, [&](GraphBuilder& g, Value x) { return g.conv(g.conv(x, "a", first), "b", second); }));
  const GraphWithWeights merged = merge_linear(source, 1);
  expect_equal(source, merged);
  return count<Conv>(merged.graph);
}

TEST(MergeLinear, PutsAPointwiseConvolutionIntoTheOneBeforeIt) {
  for (const bool first_bias : {false, true})
    for (const bool second_bias : {false, true}) {
      ConvOptions first = {.out = 6, .bias = first_bias};
      const ConvOptions second = {.out = 5, .bias = second_bias};
      EXPECT_EQ(left_of_pair(6, first, second), 1);
      // Whatever the first one pads.
      for (const Padding& padding :
           {Padding::symmetric(0), Padding::symmetric(1), Padding::tensorflow_same(), Padding{0, 1}}) {
        first = {.out = 6, .kernel = 3, .stride = 2, .padding = padding, .bias = first_bias};
        EXPECT_EQ(left_of_pair(3, first, second), 1);
      }
      first = {.out = 6, .kernel = 3, .dilation = 2, .bias = first_bias};
      EXPECT_EQ(left_of_pair(3, first, second), 1);
      first = {.out = 6, .padding = Padding::symmetric(1), .bias = first_bias};
      EXPECT_EQ(left_of_pair(6, first, second), 1);
    }
}

TEST(MergeLinear, MultipliesStrides) {
  const ConvOptions second = {.out = 4, .stride = 2};
  EXPECT_EQ(left_of_pair(3, {.out = 6, .kernel = 3, .stride = 2, .bias = true}, second), 1);
  EXPECT_EQ(left_of_pair(3, {.out = 6, .kernel = 3, .padding = Padding::tensorflow_same()}, second), 2)
      << "SAME pads by the stride";
}

TEST(MergeLinear, PutsAPointwiseConvolutionIntoTheOneBehindItWhereNoPaddingHidesItsBias) {
  const ConvOptions unpadded = {.out = 5, .kernel = 3, .stride = 2, .padding = Padding{0, 0}, .bias = true};
  const ConvOptions padded = {.out = 5, .kernel = 3, .dilation = 2, .bias = true};
  EXPECT_EQ(left_of_pair(4, {.out = 4, .bias = true}, unpadded), 1);
  EXPECT_EQ(left_of_pair(4, {.out = 4}, unpadded), 1);
  EXPECT_EQ(left_of_pair(4, {.out = 4}, padded), 1);
  EXPECT_EQ(left_of_pair(4, {.out = 4, .bias = true}, padded), 2);
  EXPECT_EQ(left_of_pair(4, {.out = 4, .stride = 2}, unpadded), 2);
}

TEST(MergeLinear, LeavesAPaddedPointwiseSecond) {
  EXPECT_EQ(left_of_pair(4, {.out = 4, .bias = true}, {.out = 4, .padding = Padding::symmetric(1)}), 2);
}

TEST(MergeLinear, LeavesTwoLargeKernels) {
  EXPECT_EQ(left_of_pair(4, {.out = 4, .kernel = 3}, {.out = 4, .kernel = 3}), 2);
}

TEST(MergeLinear, NeverRaisesMultiplyAdds) {
  // A bottleneck is cheaper than what it equals.
  EXPECT_EQ(left_of_pair(16, {.out = 2}, {.out = 16}), 2);
  EXPECT_EQ(left_of_pair(16, {.out = 4}, {.out = 16, .kernel = 3}), 2);
  EXPECT_EQ(left_of_pair(8, {.out = 2, .kernel = 3}, {.out = 8}), 2);
  // 3 * 9 * 6 = 162 are not more than 3 * 9 * 5 + 5 * 6 = 165.
  EXPECT_EQ(left_of_pair(3, {.out = 5, .kernel = 3}, {.out = 6}), 1);
  EXPECT_EQ(left_of_pair(3, {.out = 4, .kernel = 3}, {.out = 6}), 2);
  // 5 * 9 * 5 = 225 against 4 * 9 * 5 + 4 * 5 = 200; with one channel more it is 225 + 25.
  EXPECT_EQ(left_of_pair(5, {.out = 4}, {.out = 5, .kernel = 3}), 2);
  EXPECT_EQ(left_of_pair(5, {.out = 5}, {.out = 5, .kernel = 3}), 1);
}

TEST(MergeLinear, NeverMergesIntoADepthwiseConvolution) {
  const ConvOptions depthwise = {.out = 8, .kernel = 3, .groups = 8};
  EXPECT_EQ(left_of_pair(8, depthwise, {.out = 8}), 2);
  EXPECT_EQ(left_of_pair(8, {.out = 8}, depthwise), 2);
  EXPECT_EQ(left_of_pair(8, depthwise, {.out = 8, .groups = 8}), 2);
}

TEST(MergeLinear, MergesLinearLayers) {
  const GraphWithWeights source = with_random_weights(graph_of(6, [](GraphBuilder& g, Value x) {
    x = g.flatten(g.global_average_pool(x));
    return g.linear(g.linear(g.linear(x, "a", 7), "b", 9, {}, {}, false), "c", 5);
  }));
  const GraphWithWeights merged = merge_linear(source, 1);
  EXPECT_EQ(count<Linear>(merged.graph), 1);
  EXPECT_EQ(merged.weights.at("c.weight").shape(), (Shape{5, 6}));
  expect_equal(source, merged);
}

TEST(MergeLinear, MakesOneOfAChain) {
  const GraphWithWeights source = with_random_weights(graph_of(3, [](GraphBuilder& g, Value x) {
    x = g.conv(x, "a", {.out = 8, .kernel = 4, .stride = 4, .padding = Padding{0, 0}, .bias = true});
    return g.conv(g.conv(x, "b", {.out = 9}), "c", {.out = 7, .bias = true});
  }));
  const GraphWithWeights merged = merge_linear(source, 1);
  EXPECT_EQ(count<Conv>(merged.graph), 1);
  EXPECT_EQ(merged.graph.parameters.size(), 2u);
  EXPECT_EQ(merged.graph.parameters[0].name, "c.weight");
  expect_equal(source, merged);
}

TEST(MergeLinear, LeavesWhatSomethingElseReads) {
  for (const bool as_tap : {true, false}) {
    GraphBuilder g;
    const Value middle = g.conv(g.input(4), "a", {.out = 4, .bias = true});
    const Value end = g.conv(middle, "b", {.out = 4});
    if (as_tap) g.tap("middle", middle);
    g.output("out", as_tap ? end : g.add(middle, end));
    const GraphWithWeights source = with_random_weights(std::move(g).build());
    const GraphWithWeights merged = merge_linear(source, 1);
    EXPECT_EQ(count<Conv>(merged.graph), 2);
    expect_equal(source, merged);
  }
}

}  // namespace
}  // namespace marrow::passes
