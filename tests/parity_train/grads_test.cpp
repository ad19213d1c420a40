// One block of each backbone family, forward and backward in training mode, against recorded values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "marrow/train/executor.h"
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
  for (const float x : tensor.values()) found = std::max(found, std::abs(static_cast<double>(x)));
  return found;
}

void run_block(const weights::SafetensorsFile& file) {
  const testing::RecordedBlock line = testing::recorded_block(file);
  ASSERT_FALSE(line.module.empty());
  const Tensor& recorded_input = file.tensors.at("input");
  const Graph graph = testing::build_block(line, static_cast<int>(recorded_input.dim(1)));
  const Value output = graph.find("output");
  for (const bool channels_last : {false, true}) {
    SCOPED_TRACE(channels_last ? "channels last" : "channels first");
    train::TorchExecutor executor(graph, testing::recorded_weights(file, line),
                                  {.channels_last = channels_last});
    torch::Tensor input = train::to_torch(recorded_input).requires_grad_(true);
    const auto expect_close = [&](const torch::Tensor& found, const Tensor& wanted, const std::string& name) {
      EXPECT_LE(relative_difference(train::from_torch(found).to_float(), wanted.to_float()), kBlockTolerance)
          << name;
    };
    expect_close(executor.evaluate(input, std::span(&output, 1))[0], file.tensors.at("output_eval"),
                 "output_eval");

    const torch::Tensor value = executor.train(input, std::span(&output, 1), {})[0];
    expect_close(value, file.tensors.at("output"), "output");
    (value * train::to_torch(file.tensors.at("rand"))).sum().backward();
    const Tensor& recorded_gradient = file.tensors.at("grad_input");
    expect_close(input.grad(), recorded_gradient, "grad_input");
    const double zero = kZeroGradient * largest(recorded_gradient);
    const Weights gradients = testing::recorded_group(file, "grad.", line);
    EXPECT_FALSE(gradients.empty());
    for (const auto& [name, wanted] : gradients) {
      const Tensor found = train::from_torch(executor.parameter(name).grad());
      if (largest(wanted) < zero)
        EXPECT_LE(largest(found), zero) << name;
      else
        EXPECT_LE(relative_difference(found, wanted), kBlockTolerance) << name;
    }
    for (const auto& [name, wanted] : testing::recorded_group(file, "buffer_after.", line))
      expect_close(executor.parameter(name), wanted, name);
  }
}

TEST(parity_grads, BlocksMatchTheRecordedTrainingStep) {
  testing::for_each_recorded_block(run_block);
}

}  // namespace
}  // namespace marrow
