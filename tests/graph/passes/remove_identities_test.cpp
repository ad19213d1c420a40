#include "marrow/graph/passes/remove_identities.h"

#include "graph/passes/support.h"

namespace marrow::passes {
namespace {

using testing::count;
using testing::expect_equal;
using testing::with_random_weights;

TEST(RemoveIdentities, RemovesLeakyReluOfSlopeExactlyOne) {
  for (const float slope : {1.f, 0.999f}) {
    GraphBuilder g;
    const std::string name = g.scalar("act_learn", 1);
    const Value named = g.leaky_relu(g.conv(g.input(3), "a", {.out = 4}), name);
    g.output("out", g.activation(named, Activation{ActivationKind::kLeakyRelu, slope, {}}));
    GraphWithWeights source = with_random_weights(std::move(g).build());
    source.weights.at("act_learn").values()[0] = slope;
    const GraphWithWeights removed = remove_identities(source);
    EXPECT_EQ(count<Activation>(removed.graph), slope == 1 ? 0 : 2);
    EXPECT_EQ(removed.graph.find_parameter("act_learn") == nullptr, slope == 1);
    expect_equal(source, removed);
  }
}

TEST(RemoveIdentities, ASlopeThatTheFileLacksIsItsFirstValue) {
  GraphBuilder g;
  g.output("out", g.leaky_relu(g.input(3), g.scalar("act_learn", 1)));
  EXPECT_EQ(count<Activation>(remove_identities({std::move(g).build(), {}}).graph), 0);
}

TEST(RemoveIdentities, RemovesWhatYieldsItsInput) {
  const auto nodes_left = [](const std::function<Value(GraphBuilder&, Value)>& body) {
    const GraphWithWeights source = with_random_weights(testing::graph_of(6, body));
    const GraphWithWeights removed = remove_identities(source);
    expect_equal(source, removed);
    return removed.graph.nodes.size() - 1;  // the input
  };
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.slice(x, 0, 6); }), 0u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.slice(x, 0, 5); }), 1u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.concat({x}); }), 0u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.concat({x, x}); }), 1u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.channel_shuffle(x, 1); }), 0u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.channel_shuffle(x, 6); }), 0u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.channel_shuffle(x, 2); }), 1u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.upsample(x, 1); }), 0u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.upsample(x, 2); }), 1u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.max_pool(x, 1, 1); }), 0u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.max_pool(x, 1, 2); }), 1u);
  EXPECT_EQ(nodes_left([](GraphBuilder& g, Value x) { return g.max_pool(x, 3, 1, 1); }), 1u);
}

}  // namespace
}  // namespace marrow::passes
