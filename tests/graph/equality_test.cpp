#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "graph/different_nodes.h"
#include "marrow/graph/graph.h"

namespace marrow {
namespace {

TEST(Equality, OfNodesSeesEveryField) {
  const std::vector<Node> nodes = testing::different_nodes();
  ASSERT_GT(nodes.size(), 70u);
  for (size_t i = 0; i < nodes.size(); ++i)
    for (size_t j = 0; j < nodes.size(); ++j) {
      EXPECT_EQ(nodes[i] == nodes[j], i == j) << to_string(testing::graph_of(nodes[i])) << "and\n"
                                              << to_string(testing::graph_of(nodes[j]));
      EXPECT_EQ(testing::graph_of(nodes[i]) == testing::graph_of(nodes[j]), i == j);
    }
}

TEST(Equality, OfGraphsSeesParametersOutputsAndTaps) {
  Graph graph = testing::graph_of(testing::node_of(Conv{.out_channels = 8, .weight = "w"}));
  graph.parameters = {{"w", {8, 3, 1, 1}, ParameterRole::kWeight, Init::uniform(0.5)}};
  graph.taps = {{"c2", {1}}};
  const std::vector<std::function<void(Graph&)>> changes = {
      [](Graph& g) { g.parameters[0].name = "v"; },
      [](Graph& g) { g.parameters[0].shape[0] = 9; },
      [](Graph& g) { g.parameters[0].role = ParameterRole::kConstant; },
      [](Graph& g) { g.parameters[0].init.kind = Init::Kind::kNormal; },
      [](Graph& g) { g.parameters[0].init.value = 0.25; },
      [](Graph& g) { g.parameters.clear(); },
      [](Graph& g) { g.outputs[0].name = "logits"; },
      [](Graph& g) { g.outputs[0].value = {0}; },
      [](Graph& g) { g.taps[0].name = "c3"; },
      [](Graph& g) { g.taps.clear(); },
      [](Graph& g) { g.nodes.pop_back(); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Graph changed = graph;
    EXPECT_TRUE(changed == graph);
    changes[i](changed);
    EXPECT_FALSE(changed == graph) << "change " << i;
  }
}

}  // namespace
}  // namespace marrow
