#include "marrow/graph/print.h"

#include <gtest/gtest.h>

#include <set>

#include "graph/different_nodes.h"
#include "marrow/graph/builder.h"
#include "marrow/graph/shapes.h"

namespace marrow {
namespace {

using testing::different_nodes;
using testing::graph_of;
using testing::node_of;

TEST(Print, TellsEveryTwoNodesApart) {
  std::set<std::string> listings, drawings;
  for (const Node& node : different_nodes()) {
    EXPECT_TRUE(listings.insert(to_string(graph_of(node))).second) << to_string(graph_of(node));
    EXPECT_TRUE(drawings.insert(to_dot(graph_of(node))).second) << to_dot(graph_of(node));
  }
}

TEST(Print, ShowsOutputsAndTaps) {
  Graph graph = graph_of(node_of(Add{}));
  const std::string before = to_string(graph);
  graph.taps = {{"feat0", {1}}};
  EXPECT_NE(to_string(graph), before);
  graph.outputs[0].name = "logits";
  EXPECT_NE(to_string(graph).find("output logits = %1\ntap feat0 = %1\n"), std::string::npos);
}

TEST(Print, NodesHaveTheirShapesAndParameters) {
  Graph graph =
      graph_of(node_of(Conv{.out_channels = 8, .kernel = 3, .stride = 2, .weight = "model.0.weight"}));
  graph.parameters = {{"model.0.weight", {8, 3, 3, 3}}};
  const std::string text = to_string(graph, std::vector<Shape>{{1, 3, 64, 64}, {1, 8, 31, 31}});
  EXPECT_NE(text.find("%1    conv 3x3/2 -> 8   <- %0   8 channels, stride 2   model.0   (1, 8, 31, 31)\n"
                      "        weight model.0.weight (8, 3, 3, 3)\n"),
            std::string::npos)
      << text;
}

// Names come from files.
TEST(Print, QuotesWhatDotWouldTakeForItsOwn) {
  Node node = node_of(Add{});
  node.name = "a\"b\\c";
  EXPECT_NE(to_dot(graph_of(node)).find("add\\na\\\"b\\\\c\\n8 channels"), std::string::npos)
      << to_dot(graph_of(node));
}

}  // namespace
}  // namespace marrow
