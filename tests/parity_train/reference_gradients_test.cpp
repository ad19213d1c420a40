// The reference training step against LibTorch: whole networks in float64, and what both do at kinks and
// ties.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "marrow/graph/reference/training.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/train/torch/executor.h"
#include "marrow/train/torch/loss.h"
#include "support/doubles.h"

namespace marrow {
namespace {

using reference::TrainingGradients;
using reference::TrainingStep;

constexpr TrainingPlace kNetworkPlace{.seed = 5, .epoch = 2, .position = 40};

double norm(const Tensor& tensor) {
  return std::sqrt(testing::dot(tensor, tensor));
}

double norm(const TrainingGradients& gradients) {
  double squares = testing::dot(gradients.input, gradients.input);
  for (const auto& [name, gradient] : gradients.parameters) squares += testing::dot(gradient, gradient);
  return std::sqrt(squares);
}

// Both sum in double, in other orders. A bias before a batch norm has no gradient but rounding: that is held
// against the norm of all gradients.
constexpr double kNetwork = 1e-9, kZero = 1e-13;
// LibTorch's derivative of the hard sigmoid is 1/6 as a float32, in float64 too, which is off by 3e-8.
constexpr double kHardSigmoid = 4e-8;

void expect_close(const Tensor& found, const Tensor& wanted, double relative, double whole,
                  const std::string& name) {
  ASSERT_EQ(found.shape(), wanted.shape()) << name;
  Tensor difference(found.shape(), DType::kFloat64);
  for (int64_t i = 0; i < found.size(); ++i)
    difference.values<double>()[i] = found.values<double>()[i] - wanted.values<double>()[i];
  EXPECT_LE(norm(difference), relative * norm(wanted) + kZero * whole) << name;
}

// One training step of both, from random weights and from random gradients of the targets.
void expect_same_step(const Graph& graph, const Shape& shape, const std::vector<Value>& targets,
                      const std::vector<std::string>& frozen = {}, double relative = kNetwork) {
  const Weights weights = randomize(graph, 3);
  const Tensor input = testing::double_noise(shape, 17);
  const TrainingStep step = reference::run_training_reference<double>(
      graph, weights, input, targets, {.place = kNetworkPlace, .frozen = frozen});
  const std::vector<Tensor> seeds = testing::random_gradients(step.values);
  const TrainingGradients found = step.backward(seeds);

  train::TorchExecutor executor(graph, weights, {.compute_type = torch::kFloat64, .frozen = frozen});
  torch::Tensor images = train::to_torch(input).requires_grad_(true);
  const auto values = executor.train(images, targets, kNetworkPlace);
  torch::Tensor loss = torch::zeros({}, torch::kFloat64);
  for (size_t i = 0; i < values.size(); ++i) {
    expect_close(step.values[i], train::from_torch(values[i]), kNetwork, 0, "target " + std::to_string(i));
    loss = loss + (values[i] * train::to_torch(seeds[i])).sum();
  }
  loss.backward();

  const double whole = norm(found);
  EXPECT_GT(whole, 0);
  expect_close(found.input, train::from_torch(images.grad()), relative, whole, "input");
  for (const Parameter& parameter : graph.parameters) {
    const torch::Tensor& theirs = executor.parameter(parameter.name);
    ASSERT_EQ(found.parameters.contains(parameter.name), theirs.grad().defined()) << parameter.name;
    if (theirs.grad().defined())
      expect_close(found.parameters.at(parameter.name), train::from_torch(theirs.grad()), relative, whole,
                   parameter.name);
    if (parameter.role == ParameterRole::kRunningMean || parameter.role == ParameterRole::kRunningVar) {
      const auto moved = step.statistics.find(parameter.name);
      ASSERT_EQ(moved == step.statistics.end(), is_frozen(parameter.name, frozen)) << parameter.name;
      if (moved != step.statistics.end())
        expect_close(moved->second, train::from_torch(theirs), kNetwork, 0, parameter.name);
    }
  }
}

int64_t count_parameters(const Graph& graph) {
  int64_t count = 0;
  for (const Parameter& parameter : graph.parameters)
    if (parameter.counted()) count += element_count(parameter.shape);
  return count;
}

// Whether there was one.
bool replace_hard_sigmoids(Graph& graph) {
  bool any = false;
  for (Node& node : graph.nodes)
    if (auto* op = std::get_if<Activation>(&node.operation); op && op->kind == ActivationKind::kHardSigmoid) {
      op->kind = ActivationKind::kSigmoid;
      any = true;
    }
  return any;
}

TEST(parity_reference_gradients, TheSmallestClassifierOfEachFamily) {
  std::set<std::string_view> drops;
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    Graph smallest;
    for (const nn::BackboneVariant& variant : family->variants) {
      Graph graph = nn::build_classifier(nn::choose_backbone(variant.name), 10);
      if (smallest.nodes.empty() || count_parameters(graph) < count_parameters(smallest))
        smallest = std::move(graph);
    }
    SCOPED_TRACE(family->name);
    for (const Node& node : smallest.nodes) {
      const auto* dropout = std::get_if<Dropout>(&node.operation);
      if (dropout != nullptr) drops.insert(dropout->downscale_in_inference ? "Paddle's dropout" : "dropout");
      if (std::holds_alternative<DropPath>(node.operation)) drops.insert("drop path");
    }
    const std::vector<Value> logits = {smallest.find("logits")};
    const Graph original = smallest;
    if (replace_hard_sigmoids(smallest)) expect_same_step(original, {2, 3, 64, 64}, logits, {}, kHardSigmoid);
    expect_same_step(smallest, {2, 3, 64, 64}, logits);
  }
  EXPECT_EQ(drops.size(), 3u) << "not every kind of mask was met";
}

TEST(parity_reference_gradients, Detectors) {
  for (const char* name : {"yolov8n", "yolov8n-starnet", "yolov8n-efficientnet"}) {
    SCOPED_TRACE(name);
    const Graph graph = model::make_model(name).graph;
    expect_same_step(graph, {2, 3, 64, 64}, loss::detection_maps(graph));
  }
}

TEST(parity_reference_gradients, AttentionOfADetector) {
  const Graph graph = model::make_model("yolo12n").graph;
  expect_same_step(graph, {2, 3, 64, 64}, loss::detection_maps(graph));
}

TEST(parity_reference_gradients, AFrozenBeginning) {
  const Graph graph = model::make_model("yolov8n").graph;
  expect_same_step(graph, {2, 3, 64, 64}, loss::detection_maps(graph), {"model.0.", "model.1.", "model.2."});
}

// What both give the input for a gradient of ones.
void expect_same_input_gradient(const Graph& graph, const Tensor& input, double tolerance) {
  const std::vector<Value> targets = testing::output_values(graph);
  const TrainingStep step =
      reference::run_training_reference<float>(graph, testing::kNoWeights, input, targets);
  Tensor ones(step.values[0].shape());
  std::ranges::fill(ones.values(), 1.f);
  const Tensor found = step.backward(std::span(&ones, 1)).input;
  for (const bool channels_last : {false, true}) {
    train::TorchExecutor executor(graph, {}, {.channels_last = channels_last});
    torch::Tensor images = train::to_torch(input).requires_grad_(true);
    executor.train(images, targets, {})[0].sum().backward();
    const Tensor wanted = train::from_torch(images.grad());
    for (int64_t i = 0; i < input.size(); ++i)
      EXPECT_NEAR(found.values()[i], wanted.values()[i], tolerance)
          << "of " << input.values()[i] << " at " << i;
  }
}

// LibTorch takes differences from 1 in float32; the sides of a kink are 1/6 apart and more.
TEST(parity_reference_gradients, OfActivationsAtTheirKinks) {
  const Tensor kinks = Tensor::from(
      {1, 1, 1, 12}, std::vector<float>{-100, -6, -3, -1e-30f, -0.f, 0, 1e-30f, 3, 6, 19.9f, 20.1f, 100});
  for (int kind = 1; kind < kActivationKinds; ++kind) {
    const Activation activation{static_cast<ActivationKind>(kind), 0.3, {}};
    SCOPED_TRACE(activation_name(activation.kind));
    expect_same_input_gradient(
        testing::graph_of(1, [&](GraphBuilder& g, Value x) { return g.activation(x, activation); }), kinks,
        1e-6);
  }
}

// Small integers make ties; infinities and NaNs stand among them.
TEST(parity_reference_gradients, OfPoolsWithTiesAndNaNs) {
  Tensor ties = testing::noise({2, 8, 9, 7}, 4);
  for (float& x : ties.values()) x = std::round(x);
  Tensor broken = ties.clone();
  for (int64_t i = 0; i < broken.size(); i += 11)
    broken.values()[i] = i % 3 == 0 ? std::numeric_limits<float>::quiet_NaN() : -INFINITY;
  Tensor bottom(ties.shape());
  std::ranges::fill(bottom.values(), -INFINITY);
  for (const Tensor& input : {ties, broken, bottom}) {
    for (const int stride : {1, 2})
      expect_same_input_gradient(
          testing::graph_of(8, [&](GraphBuilder& g, Value x) { return g.max_pool(x, 3, stride, 1); }), input,
          0);
    expect_same_input_gradient(
        testing::graph_of(8, [](GraphBuilder& g, Value x) { return g.adaptive_max_pool(x, 4); }), input, 0);
  }
}

}  // namespace
}  // namespace marrow
