// One block of each backbone family, forward and backward in training mode, against recorded values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "marrow/graph/reference/executor.h"
#include "marrow/graph/reference/training.h"
#include "marrow/train/torch/executor.h"
#include "support/golden.h"
#include "support/recorded_blocks.h"

namespace marrow {
namespace {

// golden/backbones/README.md, "grads".
constexpr double kBlockTolerance = 1e-4;
// A bias before a batch norm has no gradient; rounding leaves this much, relative to grad_input.
constexpr double kZeroGradient = 1e-5;

double largest(const Tensor& tensor) {
  double found = 0;
  const Tensor floats = tensor.to_float();
  for (const float x : floats.values()) found = std::max(found, std::abs(static_cast<double>(x)));
  return found;
}

// What an executor makes of a file's block.
struct BlockStep {
  Tensor output_eval;
  Tensor output, input_gradient;  // of the training step
  Weights gradients;              // of the parameters
  Weights after;                  // at least the statistics
};

using Run = std::function<BlockStep(const Graph&, const Weights&, const Tensor& input, const Tensor& rand)>;

void expect_recorded_step(const weights::SafetensorsFile& file, const Run& run) {
  const testing::RecordedBlock line = testing::recorded_block(file);
  ASSERT_FALSE(line.module.empty());
  const Tensor& input = file.tensors.at("input");
  const Graph graph = testing::build_block(line, static_cast<int>(input.dim(1)));
  const BlockStep found = run(graph, testing::recorded_weights(file, line), input, file.tensors.at("rand"));
  const auto expect_close = [&](const Tensor& tensor, const Tensor& wanted, const std::string& name) {
    EXPECT_LE(relative_difference(tensor, wanted), kBlockTolerance) << name;
  };
  expect_close(found.output_eval, file.tensors.at("output_eval"), "output_eval");
  expect_close(found.output, file.tensors.at("output"), "output");
  const Tensor& recorded_gradient = file.tensors.at("grad_input");
  expect_close(found.input_gradient, recorded_gradient, "grad_input");
  const double zero = kZeroGradient * largest(recorded_gradient);
  const Weights gradients = testing::recorded_group(file, "grad.", line);
  EXPECT_FALSE(gradients.empty());
  for (const auto& [name, wanted] : gradients) {
    if (largest(wanted) < zero)
      EXPECT_LE(largest(found.gradients.at(name)), zero) << name;
    else
      expect_close(found.gradients.at(name), wanted, name);
  }
  for (const auto& [name, wanted] : testing::recorded_group(file, "buffer_after.", line))
    expect_close(found.after.at(name), wanted, name);
}

BlockStep torch_step(const Graph& graph, const Weights& weights, const Tensor& input, const Tensor& rand,
                     bool channels_last) {
  const Value output = graph.find("output");
  train::TorchExecutor executor(graph, weights, {.channels_last = channels_last});
  torch::Tensor images = train::to_torch(input).requires_grad_(true);
  BlockStep step;
  step.output_eval = train::from_torch(executor.evaluate(images, std::span(&output, 1))[0]);
  const torch::Tensor value = executor.train(images, std::span(&output, 1), {})[0];
  step.output = train::from_torch(value);
  (value * train::to_torch(rand)).sum().backward();
  step.input_gradient = train::from_torch(images.grad());
  for (const auto& [name, tensor] : executor.state())
    if (tensor.grad().defined()) step.gradients.emplace(name, train::from_torch(tensor.grad()));
  step.after = executor.weights();
  return step;
}

template <class T>
BlockStep reference_step(const Graph& graph, const Weights& weights, const Tensor& input,
                         const Tensor& rand) {
  const Value output = graph.find("output");
  const auto step = reference::run_training_reference<T>(graph, weights, input, std::span(&output, 1));
  reference::TrainingGradients gradients = step.backward(std::span(&rand, 1));
  return {.output_eval = reference::run_reference(graph, weights, input, "output"),
          .output = step.values[0],
          .input_gradient = gradients.input,
          .gradients = gradients.parameters,
          .after = step.statistics};
}

TEST(parity_grads, BlocksMatchTheRecordedTrainingStep) {
  testing::for_each_recorded_block([](const weights::SafetensorsFile& file) {
    for (const bool channels_last : {false, true}) {
      SCOPED_TRACE(channels_last ? "channels last" : "channels first");
      expect_recorded_step(file, [&](const auto&... block) { return torch_step(block..., channels_last); });
    }
  });
}

TEST(parity_grads, TheReferenceMatchesTheRecordedTrainingStep) {
  testing::for_each_recorded_block([](const weights::SafetensorsFile& file) {
    expect_recorded_step(file, reference_step<float>);
    expect_recorded_step(file, reference_step<double>);
  });
}

}  // namespace
}  // namespace marrow
