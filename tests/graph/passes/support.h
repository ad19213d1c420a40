// What the tests of passes share: graphs with random weights, and outputs that must not change.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/graph/passes/pass.h"
#include "marrow/graph/reference/executor.h"
#include "support/graphs.h"

namespace marrow::testing {

// Sums in double, results in float32: a few roundings more or fewer.
inline constexpr double kRounding = 2e-6;

template <class Op>
int count(const Graph& graph) {
  return static_cast<int>(std::ranges::count_if(
      graph.nodes, [](const Node& node) { return std::holds_alternative<Op>(node.operation); }));
}

inline passes::GraphWithWeights with_random_weights(Graph graph, uint64_t seed = 1) {
  Weights weights = randomize(graph, seed);
  return {std::move(graph), std::move(weights)};
}

// All outputs, then all taps.
inline std::vector<Tensor> run(const passes::GraphWithWeights& model, const Tensor& input) {
  std::vector<Value> values;
  for (const auto* list : {&model.graph.outputs, &model.graph.taps})
    for (const NamedValue& named : *list) values.push_back(named.value);
  return reference::run_reference(model.graph, model.weights, input, values);
}

// The largest relative difference of any of them.
inline double largest_difference(const std::vector<Tensor>& found, const std::vector<Tensor>& wanted) {
  EXPECT_EQ(found.size(), wanted.size());
  double largest = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(found.at(i).shape(), wanted[i].shape()) << i;
    largest = std::max(largest, relative_difference(found.at(i), wanted[i]));
  }
  return largest;
}

// Even and odd sizes, two images.
inline void expect_equal(const passes::GraphWithWeights& before, const passes::GraphWithWeights& after,
                         double tolerance = kRounding) {
  verify(after.graph, after.weights);
  const int channels = before.graph.nodes.at(0).channels;
  for (const Shape& shape : {Shape{2, channels, 12, 10}, Shape{1, channels, 13, 9}}) {
    const Tensor input = noise(shape, 5);
    EXPECT_LT(largest_difference(run(after, input), run(before, input)), tolerance) << to_string(shape);
  }
}

}  // namespace marrow::testing
