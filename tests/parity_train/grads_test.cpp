// One block of each backbone family, forward and backward in training mode, against recorded values.
#include <gtest/gtest.h>

#include "marrow/train/torch/executor.h"
#include "support/recorded_step.h"

namespace marrow {
namespace {

using testing::BlockStep;

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

TEST(parity_grads, BlocksMatchTheRecordedTrainingStep) {
  testing::for_each_recorded_block([](const weights::SafetensorsFile& file) {
    for (const bool channels_last : {false, true}) {
      SCOPED_TRACE(channels_last ? "channels last" : "channels first");
      testing::expect_recorded_step(
          file, [&](const auto&... block) { return torch_step(block..., channels_last); });
    }
  });
}

}  // namespace
}  // namespace marrow
