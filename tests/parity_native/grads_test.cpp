// One block of each backbone family, forward and backward in training mode, against recorded values: on our
// own kernels at every level, and by the plain loops of the reference.
#include <gtest/gtest.h>

#include "marrow/graph/reference/executor.h"
#include "support/recorded_step.h"
#include "train/native/step_cases.h"

namespace marrow {
namespace {

using testing::BlockStep;

BlockStep native_step(const Graph& graph, const Weights& weights, const Tensor& input, const Tensor& rand,
                      const testing::NativeOptions& options) {
  const Tensor seed = testing::to_double(rand);
  testing::NativeStep step = testing::run_native(graph, weights, input, std::span(&seed, 1), options);
  return {.output_eval = {},
          .output = step.values.at(0),
          .input_gradient = step.input,
          .gradients = std::move(step.gradients),
          .after = std::move(step.statistics)};
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

TEST(parity_native_grads, BlocksMatchTheRecordedTrainingStep) {
  testing::for_each_recorded_block([](const weights::SafetensorsFile& file) {
    for (const cpu::SimdLevel level : cpu::available_simd_levels())
      for (const bool stores_all : {false, true}) {
        SCOPED_TRACE(std::string(cpu::simd_name(level)) + (stores_all ? ", all is stored" : ""));
        testing::expect_recorded_step(file, [&](const auto&... block) {
          return native_step(block..., {.threads = 2, .level = level, .stores_all = stores_all});
        });
      }
  });
}

TEST(parity_native_grads, TheReferenceMatchesTheRecordedTrainingStep) {
  testing::for_each_recorded_block([](const weights::SafetensorsFile& file) {
    testing::expect_recorded_step(file, reference_step<float>);
    testing::expect_recorded_step(file, reference_step<double>);
  });
}

}  // namespace
}  // namespace marrow
