#include "marrow/graph/reference/training.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/graph/reference/executor.h"
#include "support/doubles.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::reference {
namespace {

using testing::graph_of;
using testing::noise;
using testing::output_values;

constexpr TrainingPlace kMaskPlace{.seed = 5, .epoch = 2, .position = 40};

// conv - batch norm - silu, twice.
Graph two_layers() {
  return graph_of(3, [](GraphBuilder& g, Value x) {
    for (const char* name : {"model.0", "model.1"}) {
      const auto scope = g.scope(name);
      x = g.activation(g.batch_norm(g.conv(x, "conv", {.out = 6, .kernel = 3}), "bn"), ActivationKind::kSilu);
    }
    return x;
  });
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::equal(a.bytes(), a.bytes() + a.byte_size(), b.bytes());
}

TEST(TrainingReference, EqualsTheForwardWithBatchStatistics) {
  const Graph graph = two_layers();
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise({4, 3, 9, 7}, 2);
  const std::vector<Value> targets = output_values(graph);
  const auto wanted = run_reference_with_batch_statistics(graph, weights, input, targets);
  const auto found = run_training_reference<float>(graph, weights, input, targets);
  EXPECT_TRUE(same_bytes(found.values[0], wanted.values[0]));
  EXPECT_EQ(found.statistics.size(), 6u);
  for (const auto& [name, tensor] : wanted.statistics)
    EXPECT_TRUE(same_bytes(found.statistics.at(name), tensor)) << name;
}

TEST(TrainingReference, IsTheSameInFloatAndDoubleButForRounding) {
  const Graph graph = two_layers();
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise({2, 3, 9, 7}, 2);
  const std::vector<Value> targets = output_values(graph);
  const auto single = run_training_reference<float>(graph, weights, input, targets);
  const auto exact = run_training_reference<double>(graph, weights, input, targets);
  EXPECT_EQ(exact.values[0].dtype(), DType::kFloat64);
  EXPECT_LE(relative_difference(single.values[0], exact.values[0]), 1e-6);
  const std::vector<Tensor> seeds = testing::random_gradients(exact.values);
  const TrainingGradients a = single.backward(seeds), b = exact.backward(seeds);
  EXPECT_EQ(a.input.dtype(), DType::kFloat32);
  EXPECT_EQ(b.input.dtype(), DType::kFloat64);
  EXPECT_LE(relative_difference(a.input, b.input), 1e-5);
  EXPECT_EQ(a.parameters.size(), 6u);
  for (const auto& [name, gradient] : a.parameters)
    EXPECT_LE(relative_difference(gradient, b.parameters.at(name)), 1e-5) << name;
}

TEST(TrainingReference, OneValueAChannelMovesTheVarianceTowardsZero) {
  const Graph graph = graph_of(2, [](GraphBuilder& g, Value x) { return g.batch_norm(x, "bn"); });
  const Weights weights = initialize(graph, 1);
  const Tensor input = Tensor::from({1, 2, 1, 1}, std::vector<float>{3, -2});
  const auto step = run_training_reference<float>(graph, weights, input, output_values(graph));
  EXPECT_FLOAT_EQ(step.statistics.at("bn.running_mean").values()[0], 0.3F);
  EXPECT_FLOAT_EQ(step.statistics.at("bn.running_var").values()[1], 0.9F);
  EXPECT_FLOAT_EQ(step.values[0].values()[0], 0);
}

TEST(TrainingReference, FrozenPartsKeepTheirStatisticsAndGetNoGradient) {
  const Graph graph = two_layers();
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise({4, 3, 8, 8}, 2);
  const Value first_norm = {2};
  ASSERT_TRUE(std::holds_alternative<BatchNorm>(graph.node(first_norm).operation));
  const std::vector<Value> targets = {output_values(graph)[0], first_norm};
  const auto step = run_training_reference<float>(graph, weights, input, targets, {.frozen = {"model.0."}});
  EXPECT_TRUE(same_bytes(step.values[1], run_reference(graph, weights, input, targets)[1]));
  for (const auto& [name, tensor] : step.statistics) EXPECT_TRUE(name.starts_with("model.1.")) << name;
  const TrainingGradients gradients = step.backward(testing::random_gradients(step.values));
  EXPECT_EQ(gradients.parameters.size(), 3u);
  for (const auto& [name, tensor] : gradients.parameters) EXPECT_TRUE(name.starts_with("model.1.")) << name;
  EXPECT_GT(gradients.input.values()[0] * gradients.input.values()[0], 0);
}

TEST(TrainingReference, DrawsTheMasksOfItsPlace) {
  const Graph graph = graph_of(5, [](GraphBuilder& g, Value x) {
    g.output("path", g.drop_path(x, 0.5));
    g.output("paddle", g.dropout(x, 0.25, true));
    return g.dropout(x, 0.5);
  });
  Tensor ones({6, 5, 4, 3});
  std::ranges::fill(ones.values(), 1.f);
  const auto step = run_training_reference<float>(graph, testing::kNoWeights, ones, output_values(graph),
                                                  {.place = kMaskPlace});
  // In the order of the outputs; each node draws by its index.
  const auto mask = [&](const auto& op, const NamedValue& output, const Shape& shape) {
    Tensor drawn(shape);
    draw_mask(op, kMaskPlace, static_cast<size_t>(output.value.id), 6, drawn.values());
    return drawn;
  };
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Operation& operation = graph.node(graph.outputs[i].value).operation;
    if (const auto* path = std::get_if<DropPath>(&operation)) {
      const Tensor drawn = mask(*path, graph.outputs[i], {6});
      for (int64_t j = 0; j < ones.size(); ++j) EXPECT_EQ(step.values[i].values()[j], drawn.values()[j / 60]);
    } else {
      EXPECT_TRUE(
          same_bytes(step.values[i], mask(std::get<Dropout>(operation), graph.outputs[i], ones.shape())));
    }
  }
}

TEST(TrainingReference, GradientsAreOfWhatTheTargetsRead) {
  const Graph graph = graph_of(3, [](GraphBuilder& g, Value x) {
    g.output("other", g.conv(x, "other", {.out = 2}));
    return g.conv(x, "conv", {.out = 2});
  });
  const Weights weights = randomize(graph, 1);
  const std::vector<Value> targets = {graph.find("out"), graph.find("other")};
  const Tensor input = noise({1, 3, 2, 2}, 2);
  const auto step = run_training_reference<float>(graph, weights, input, targets);
  std::vector<Tensor> seeds = {noise({1, 2, 2, 2}, 3), Tensor()};
  EXPECT_TRUE(step.backward(seeds).parameters.contains("conv.weight"));
  EXPECT_FALSE(step.backward(seeds).parameters.contains("other.weight"));
  seeds[0] = Tensor();
  const TrainingGradients none = step.backward(seeds);
  EXPECT_TRUE(none.parameters.empty());
  EXPECT_TRUE(same_bytes(none.input, Tensor(input.shape())));
}

TEST(TrainingReference, RefusesGradientsThatDoNotFit) {
  const Graph graph = graph_of(3, [](GraphBuilder& g, Value x) {
    const Value map = g.conv(x, "map", {.out = 14, .kernel = 2, .stride = 2});
    g.output("map", map);
    return g.detect_decode(std::vector<Value>{map}, "dfl", 2, 3);
  });
  const Weights weights = randomize(graph, 1);
  const std::vector<Value> targets = {graph.find("out"), graph.find("map")};
  const auto step = run_training_reference<double>(graph, weights, noise({1, 3, 4, 4}, 2), targets);
  std::vector<Tensor> seeds = testing::random_gradients(step.values);
  EXPECT_SAYS(testing::message_of([&] { step.backward(seeds); }, ErrorKind::kUnsupported), "raw maps");
  seeds[0] = Tensor();
  EXPECT_TRUE(step.backward(seeds).parameters.contains("map.weight"));
  seeds[1] = noise({1, 14, 2, 1}, 1);
  EXPECT_SAYS(testing::message_of([&] { step.backward(seeds); }, ErrorKind::kShape), "target 1");
  seeds.pop_back();
  EXPECT_SAYS(testing::message_of([&] { step.backward(seeds); }, ErrorKind::kShape),
              "1 gradients of 2 targets");
}

}  // namespace
}  // namespace marrow::reference
