// Small graphs and random inputs for tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/graph/builder.h"

namespace marrow::testing {

inline Tensor noise(const Shape& shape, uint64_t seed) {
  Tensor tensor(shape);
  Random random(seed, "noise");
  for (float& value : tensor.values()) value = static_cast<float>(random.normal());
  return tensor;
}

// A graph with one input of `channels` and the output "out" that `body` returns.
inline Graph graph_of(int channels, const std::function<Value(GraphBuilder&, Value)>& body) {
  GraphBuilder g;
  g.output("out", body(g, g.input(channels)));
  return std::move(g).build();
}

// Of its dropouts, in order.
inline std::vector<double> dropout_rates(const Graph& graph) {
  std::vector<double> rates;
  for (const Node& node : graph.nodes)
    if (const auto* dropout = std::get_if<Dropout>(&node.operation)) rates.push_back(dropout->rate);
  return rates;
}

// gtest would print the bytes of graphs that differ.
inline void expect_same(const Graph& found, const Graph& wanted) {
  EXPECT_TRUE(found == wanted) << "found:\n" << to_string(found) << "wanted:\n" << to_string(wanted);
}

}  // namespace marrow::testing
