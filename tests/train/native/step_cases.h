// A native training step beside the plain loops of the reference.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "marrow/graph/reference/training.h"
#include "marrow/graph/shapes.h"
#include "marrow/train/native/program.h"
#include "support/doubles.h"
#include "support/op_cases.h"
#include "train/native/bfloat16.h"

namespace marrow::testing {

// What a step computes, in rows.
struct NativeStep {
  std::vector<Tensor> values;
  Tensor input;        // its gradient
  Weights gradients;   // of trained parameters
  Weights statistics;  // all weights after the step
};

inline void copy_rows(const loss::MapView<const float>& view, Tensor& rows) {
  auto out = rows.values().begin();
  for (int64_t image = 0; image < view.images; ++image)
    for (int64_t c = 0; c < view.channels; ++c)
      for (int64_t p = 0; p < view.pixels(); ++p) *out++ = view.channel(image, c)[p * view.lanes];
}

struct NativeOptions {
  int threads = 1;
  cpu::SimdLevel level = cpu::choose_simd_level();
  TrainingPlace place = {};
  std::vector<std::string> frozen = {};
  bool stores_all = false;
  bool bfloat16 = false;  // products of these, from gradients that it holds
  bool poisoned = false;  // NaNs lie in memory before the step
};

// Of the graph's outputs, whose gradients are `seeds`.
inline NativeStep run_native(const Graph& graph, const Weights& weights, const Tensor& input,
                             std::span<const Tensor> seeds, const NativeOptions& options = {}) {
  using namespace train::native;
  train::FlatParameters parameters(graph, options.frozen);
  parameters.load(weights, weights);
  ProgramSettings settings{.frozen = options.frozen,
                           .bfloat16 = options.bfloat16,
                           .stores_all = options.stores_all,
                           .input_gradient = true};
  const std::vector<Value> targets = output_values(graph);
  const std::vector<Shape> shapes = infer_shapes(graph, input.shape());
  for (const Value target : targets)
    settings.outputs.push_back({target, 0, static_cast<int>(shapes[static_cast<size_t>(target.id)][1])});
  cpu::ThreadPool pool(options.threads);
  Workspace workspace;
  Program program(graph, input.shape(), settings, parameters, train::native::kernels_of(options.level),
                  workspace, pool);
  if (options.poisoned) {
    program.forward(std::span(&input, 1), options.place, 1);  // takes the memory
    std::ranges::fill(workspace.arena.values(), NAN);
    std::ranges::fill(workspace.scratch.values(), NAN);
    parameters.load(weights, weights);
  }
  NativeStep step;
  program.forward(std::span(&input, 1), options.place, 1);
  for (size_t i = 0; i < targets.size(); ++i) {
    step.values.emplace_back(shapes[static_cast<size_t>(targets[i].id)]);
    copy_rows(program.output(i), step.values.back());
    const loss::MapView<float> gradient = program.output_gradient(i);
    auto seed = seeds[i].values<double>().begin();
    for (int64_t image = 0; image < gradient.images; ++image)
      for (int64_t c = 0; c < gradient.channels; ++c)
        for (int64_t p = 0; p < gradient.pixels(); ++p)
          gradient.channel(image, c)[p * gradient.lanes] = static_cast<float>(*seed++);
  }
  program.backward();
  step.input = Tensor(input.shape());
  copy_rows(program.input_gradient(), step.input);
  for (const auto& [name, completed] : program.trained()) {
    const auto& entry = parameters.entries()[parameters.index_of(name)];
    step.gradients[name] = Tensor::from(entry.shape, parameters.gradient(name));
  }
  step.statistics = parameters.weights();
  return step;
}

inline double norm_of(const Tensor& tensor) {
  double sum = 0;
  for (int64_t i = 0; i < tensor.size(); ++i) sum += tensor.values<double>()[i] * tensor.values<double>()[i];
  return std::sqrt(sum);
}

// |found - wanted| / |wanted|, or the former alone where the latter is next to nothing beside `least`.
inline double distance(const Tensor& found, const Tensor& wanted, double least) {
  if (found.shape() != wanted.shape()) return INFINITY;
  double sum = 0;
  for (int64_t i = 0; i < found.size(); ++i) {
    const double difference = double{found.values()[i]} - wanted.values<double>()[i];
    sum += difference * difference;
  }
  return std::sqrt(sum) / std::max({norm_of(wanted), least, 1e-30});
}

// The same step by plain loops in double, from random gradients of the outputs.
struct ReferenceStep {
  std::vector<Tensor> values, seeds;
  reference::TrainingGradients gradients;
  Weights statistics;
};

inline ReferenceStep run_in_double(const Graph& graph, const Weights& weights, const Tensor& input,
                                   const NativeOptions& options) {
  const Weights exact = double_weights(weights);
  const auto step =
      reference::run_training_reference<double>(graph, exact, to_double(input), output_values(graph),
                                                {.place = options.place, .frozen = options.frozen});
  std::vector<Tensor> seeds = random_gradients(step.values);
  if (options.bfloat16)
    for (Tensor& seed : seeds)
      for (double& x : seed.values<double>()) x = double{rounded_to_bfloat16(static_cast<float>(x))};
  reference::TrainingGradients gradients = step.backward(seeds);
  return {step.values, std::move(seeds), std::move(gradients), step.statistics};
}

// Holds a native step to the reference's in double.
inline void expect_reference_step(const Graph& graph, const Weights& weights, const Tensor& input,
                                  const NativeOptions& options, double tolerance) {
  const auto& [values, seeds, gradients, statistics] = run_in_double(graph, weights, input, options);
  const NativeStep found = run_native(graph, weights, input, seeds, options);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_LE(distance(found.values[i], values[i], 0), tolerance) << "value " << i;
  EXPECT_LE(distance(found.input, gradients.input, 0), tolerance) << "gradient of the input";
  EXPECT_EQ(found.gradients.size(), gradients.parameters.size());
  double largest = 0;
  for (const auto& [name, gradient] : gradients.parameters) largest = std::max(largest, norm_of(gradient));
  for (const auto& [name, gradient] : gradients.parameters)
    EXPECT_LE(distance(found.gradients.at(name), gradient, 1e-3 * largest), tolerance) << name;
  for (const auto& [name, statistic] : statistics) {
    const Tensor& moved = found.statistics.at(name);
    if (moved.dtype() == DType::kInt64)
      EXPECT_EQ(moved.values<int64_t>()[0], statistic.values<int64_t>()[0]) << name;
    else
      EXPECT_LE(distance(moved, statistic, 1e-2), tolerance) << name;
  }
}

}  // namespace marrow::testing
