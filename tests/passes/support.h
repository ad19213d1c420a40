// What the tests of passes share: graphs with random weights, and outputs that must not change.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "passes/pass.h"
#include "reference/executor.h"
#include "support/graphs.h"

namespace marrow::test {

// Sums in double, results in float32: a few roundings more or fewer.
inline constexpr double kRounding = 2e-6;

template <class Op>
int count(const Graph& graph) {
  return static_cast<int>(std::ranges::count_if(
      graph.nodes, [](const Node& node) { return std::holds_alternative<Op>(node.operation); }));
}

inline GraphWithWeights with_random_weights(Graph graph, uint64_t seed = 1) {
  Weights weights = randomize(graph, seed);
  return {std::move(graph), std::move(weights)};
}

inline std::vector<Value> values_of(const std::vector<NamedValue>& list) {
  std::vector<Value> values;
  for (const NamedValue& named : list) values.push_back(named.value);
  return values;
}

// The largest relative difference of any output or tap of the two graphs, which have the same ones.
inline double largest_difference(const GraphWithWeights& before, const GraphWithWeights& after,
                                 const Tensor& input) {
  double largest = 0;
  const auto compare = [&](const std::vector<NamedValue>& wanted, const std::vector<NamedValue>& found) {
    ASSERT_EQ(wanted.size(), found.size());
    const auto a = run_reference(before.graph, before.weights, input, values_of(wanted));
    const auto b = run_reference(after.graph, after.weights, input, values_of(found));
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(wanted[i].name, found[i].name);
      ASSERT_EQ(a[i].shape(), b[i].shape()) << wanted[i].name;
      largest = std::max(largest, relative_difference(b[i], a[i]));
    }
  };
  compare(before.graph.outputs, after.graph.outputs);
  compare(before.graph.taps, after.graph.taps);
  return largest;
}

// Even and odd sizes, two images.
inline void expect_equal(const GraphWithWeights& before, const GraphWithWeights& after,
                         double tolerance = kRounding) {
  verify(after.graph, after.weights);
  const int channels = before.graph.nodes.at(0).channels;
  for (const Shape& shape : {Shape{2, channels, 12, 10}, Shape{1, channels, 13, 9}})
    EXPECT_LT(largest_difference(before, after, noise(shape, 5)), tolerance) << to_string(shape);
}

}  // namespace marrow::test
