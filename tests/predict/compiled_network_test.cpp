#include "marrow/predict/compiled_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "marrow/base/error.h"
#include "marrow/graph/builder.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/zoo.h"

namespace marrow::predict {
namespace {

// Two outputs, "one" and "two", and a tap before them.
passes::GraphWithWeights two_outputs() {
  GraphBuilder g;
  const auto conv = [&](Value x, const char* name) {
    return g.conv(x, name, {.out = 8, .kernel = 3, .padding = Padding::symmetric(1), .bias = true});
  };
  const Value stem = g.activation(g.batch_norm(conv(g.input(3), "stem"), "norm"), ActivationKind::kRelu);
  g.tap("stem", stem);
  g.output("one", conv(stem, "one"));
  g.output("two", conv(stem, "two"));
  Graph graph = std::move(g).build();
  Weights weights = randomize(graph, 3);
  return {std::move(graph), std::move(weights)};
}

void fill(Tensor& input) {
  float value = 0.25f;
  for (float& x : input.values()) x = value = 3.7f * value * (1 - value);
}

void expect_equals_reference(CompiledNetwork& network, const passes::GraphWithWeights& source,
                             const Shape& shape, const char* output) {
  CompiledNetwork::Compiled& compiled = network.at(shape);
  fill(compiled.input);
  const Tensor wanted = reference::run_reference(source.graph, source.weights, compiled.input, output);
  EXPECT_LT(relative_difference(compiled.run(), wanted), 1e-5);
}

TEST(CompiledNetwork, EqualsTheReferenceExecutorAtEveryShapeAndOutput) {
  const passes::GraphWithWeights source = two_outputs();
  for (const bool deploy : {true, false})
    for (const char* output : {"one", "two", "stem"}) {
      SCOPED_TRACE(output);
      CompiledNetwork network(source, {output}, {.threads = 1, .deploy = deploy}, 2);
      for (const int64_t side : {8, 5, 8, 16, 5, 8})
        expect_equals_reference(network, source, {1, 3, side, side + 1}, output);
      EXPECT_EQ(network.at({1, 3, 8, 9}).engine.output_count(), 1u);
    }
}

// Its expansions are fused with their depthwise convolutions for few threads only.
TEST(CompiledNetwork, GivesTheSameNumbersOfYolov10OnAnyNumberOfThreads) {
  const Graph graph = model::make_model("yolov10n").graph;
  const passes::GraphWithWeights network = passes::deploy({graph, randomize(graph, 3)});
  for (const int64_t side : {160, 320, 640}) {
    const Shape shape = {1, 3, side, side};
    Tensor wanted;
    for (const int threads : {1, 2, 3, 7}) {
      CompiledNetwork compiled(network, {}, {.threads = threads, .deploy = false});
      fill(compiled.at(shape).input);
      const Tensor found = compiled.at(shape).run().clone();
      if (!wanted.defined()) wanted = found;
      EXPECT_TRUE(std::ranges::equal(found.values(), wanted.values()))
          << side << ", " << threads << " threads";
    }
  }
}

TEST(CompiledNetwork, DropsWhatItsOutputsDoNotNeed) {
  const passes::GraphWithWeights source = two_outputs();
  EXPECT_EQ(CompiledNetwork(source, {}, {.threads = 1}).at({1, 3, 4, 4}).engine.output_count(), 2u);
  const CompiledNetwork as_trained(source, {"one"}, {.deploy = false});
  EXPECT_EQ(as_trained.graph().nodes.size(), source.graph.nodes.size() - 1);
  const CompiledNetwork deployed(source, {"one"}, {});
  EXPECT_LT(deployed.graph().nodes.size(), as_trained.graph().nodes.size());
}

TEST(CompiledNetwork, KeepsTheLastShapesCompiled) {
  CompiledNetwork network(two_outputs(), {"one"}, {.threads = 1}, 2);
  const Shape a = {1, 3, 4, 4}, b = {1, 3, 4, 8}, c = {2, 3, 4, 4};
  const auto* first = &network.at(a);
  const auto* second = &network.at(b);
  EXPECT_EQ(&network.at(a), first);
  EXPECT_EQ(&network.at(b), second);
  fill(network.at(a).input);
  network.at(c);  // in place of b
  EXPECT_EQ(&network.at(a), first);
  EXPECT_NE(network.at(a).input.values()[0], 0);
  EXPECT_EQ(network.at(b).input.values()[0], 0);  // anew
}

// Each has its part of the threads, and memory of its own.
TEST(CompiledNetwork, RunsSeveralInputsSideBySide) {
  const passes::GraphWithWeights source = two_outputs();
  CompiledNetwork network(source, {"two"}, {.threads = 5}, 3);
  const Shape shape = {1, 3, 8, 9};
  CompiledNetwork::Compiled& alone = network.at(shape);
  for (const size_t count : {2, 3}) {
    CompiledNetwork::Compiled& compiled = network.at(shape, count);
    ASSERT_EQ(compiled.others.size() + 1, count);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i) {
      fill(compiled.at(i).input);
      compiled.at(i).input.values()[0] = static_cast<float>(i);
      threads.emplace_back([&, i] { compiled.at(i).run(); });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < count; ++i) {
      alone.engine.run(compiled.at(i).input);
      EXPECT_TRUE(
          std::ranges::equal(compiled.at(i).engine.output(0).values(), alone.engine.output(0).values()));
    }
    EXPECT_EQ(&network.at(shape, count), &compiled);
  }
  EXPECT_EQ(&network.at(shape), &alone);
}

TEST(CompiledNetwork, RefusesWhatItCannotRun) {
  const passes::GraphWithWeights source = two_outputs();
  EXPECT_THROW(CompiledNetwork(source, {"three"}, {}), Error);
  EXPECT_THROW(CompiledNetwork({source.graph, {}}, {"one"}, {}), Error);
  CompiledNetwork network(source, {"one"}, {.threads = 1});
  EXPECT_THROW(network.at({1, 4, 8, 8}), Error);
}

}  // namespace
}  // namespace marrow::predict
