#include "marrow/graph/passes/strip_training.h"

#include "graph/passes/support.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::with_random_weights;

TEST(StripTraining, RemovesDropoutAndDropPath) {
  GraphBuilder g;
  const Value x = g.input(3);
  const Value branch = g.drop_path(g.conv(x, "a", {.out = 3}), 0.3);
  Value y = g.dropout(g.add(x, branch), 0.5);
  g.tap("dropped", y);
  g.output("out", g.linear(g.flatten(g.global_average_pool(y)), "fc", 4));
  const GraphWithWeights source = with_random_weights(std::move(g).build());
  const GraphWithWeights stripped = strip_training(source);
  EXPECT_EQ(count<Dropout>(stripped.graph) + count<DropPath>(stripped.graph), 0);
  EXPECT_TRUE(std::holds_alternative<Add>(stripped.graph.node(stripped.graph.find("dropped")).operation));
  expect_equal(source, stripped);
}

TEST(StripTraining, FoldsAScalingDropoutIntoTheLinearLayerThatAloneReadsIt) {
  for (const bool flatten_between : {false, true})
    for (const bool second_reader : {false, true}) {
      GraphBuilder g;
      const Value pooled = g.global_average_pool(g.input(3));
      const Value x = g.dropout(flatten_between ? pooled : g.flatten(pooled), 0.25, true);
      g.output("out", g.linear(flatten_between ? g.flatten(x) : x, "fc", 4));
      if (second_reader) g.output("raw", x);
      const GraphWithWeights source = with_random_weights(std::move(g).build());
      const GraphWithWeights stripped = strip_training(source);
      EXPECT_EQ(count<Dropout>(stripped.graph), second_reader ? 1 : 0);
      expect_equal(source, stripped);
    }
}

}  // namespace
}  // namespace marrow::passes
