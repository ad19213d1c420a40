// The training step of a recorded backbone block, golden/backbones/grads, and how near an executor's is to
// it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "support/recorded_blocks.h"

namespace marrow::testing {

// golden/backbones/README.md, "grads".
inline constexpr double kBlockTolerance = 1e-4;
// A bias before a batch norm has no gradient; rounding leaves this much, relative to grad_input.
inline constexpr double kZeroGradient = 1e-5;

inline double largest(const Tensor& tensor) {
  double found = 0;
  const Tensor floats = tensor.to_float();
  for (const float x : floats.values()) found = std::max(found, std::abs(static_cast<double>(x)));
  return found;
}

// What an executor makes of a file's block.
struct BlockStep {
  Tensor output_eval;             // undefined: the executor only trains
  Tensor output, input_gradient;  // of the training step
  Weights gradients;              // of the parameters
  Weights after;                  // at least the statistics
};

using RunBlock =
    std::function<BlockStep(const Graph&, const Weights&, const Tensor& input, const Tensor& rand)>;

inline void expect_recorded_step(const weights::SafetensorsFile& file, const RunBlock& run) {
  const RecordedBlock line = recorded_block(file);
  ASSERT_FALSE(line.module.empty());
  const Tensor& input = file.tensors.at("input");
  const Graph graph = build_block(line, static_cast<int>(input.dim(1)));
  const BlockStep found = run(graph, recorded_weights(file, line), input, file.tensors.at("rand"));
  const auto expect_close = [&](const Tensor& tensor, const Tensor& wanted, const std::string& name) {
    EXPECT_LE(relative_difference(tensor, wanted), kBlockTolerance) << name;
  };
  if (found.output_eval.defined())
    expect_close(found.output_eval, file.tensors.at("output_eval"), "output_eval");
  expect_close(found.output, file.tensors.at("output"), "output");
  const Tensor& recorded_gradient = file.tensors.at("grad_input");
  expect_close(found.input_gradient, recorded_gradient, "grad_input");
  const double zero = kZeroGradient * largest(recorded_gradient);
  const Weights gradients = recorded_group(file, "grad.", line);
  EXPECT_FALSE(gradients.empty());
  for (const auto& [name, wanted] : gradients) {
    ASSERT_TRUE(found.gradients.contains(name)) << name;
    if (largest(wanted) < zero)
      EXPECT_LE(largest(found.gradients.at(name)), zero) << name;
    else
      expect_close(found.gradients.at(name), wanted, name);
  }
  for (const auto& [name, wanted] : recorded_group(file, "buffer_after.", line))
    expect_close(found.after.at(name), wanted, name);
}

}  // namespace marrow::testing
