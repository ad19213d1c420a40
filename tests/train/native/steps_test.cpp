// Every operation of a graph, forward and backward, beside the plain loops of the reference in double.
#include "step_cases.h"

namespace marrow::testing {
namespace {

constexpr double kStepTolerance = 3e-6;

// A batch norm of one value a channel: its scale is 1 / sqrt(eps) and its result the shift alone.
bool is_degenerate(const OpCase& op) {
  return op.name.starts_with("batch_norm") && op.input[0] * op.input[2] * op.input[3] == 1;
}

void expect_case(const OpCase& op, const NativeOptions& options) {
  SCOPED_TRACE(op.name);
  expect_reference_step(op.graph, randomize(op.graph, 3), noise(op.input, 4), options, kStepTolerance);
}

// At the best level all; at the others, whose kernels have tests of their own, some.
void expect_all(const std::vector<OpCase>& cases) {
  const std::vector<cpu::SimdLevel> levels = cpu::available_simd_levels();
  for (const cpu::SimdLevel level : levels)
    for (size_t i = 0; i < cases.size(); i += level == levels.back() ? 1 : 5)
      if (!is_degenerate(cases[i]))
        expect_case(cases[i], {.threads = 2,
                               .level = level,
                               .place = {.seed = 3, .epoch = 1, .position = 7},
                               .poisoned = true});
}

TEST(NativeSteps, ConvolutionsEqualTheReference) {
  expect_all(convolutions());
}
TEST(NativeSteps, StemsEqualTheReference) {
  expect_all(stems());
}
TEST(NativeSteps, TransposedConvolutionsEqualTheReference) {
  expect_all(transposed());
}
TEST(NativeSteps, OtherOperationsEqualTheReference) {
  expect_all(others());
}

// Values next to each other, whose mean a float does not hold: n = scale y + shift with a scale of
// gamma / sqrt(eps).
TEST(NativeSteps, BatchNormOfOneValueAChannelIsItsShift) {
  const Graph graph = graph_of(3, [](GraphBuilder& g, Value x) { return g.batch_norm(x, "bn"); });
  const Weights weights = randomize(graph, 3);
  const Tensor input = noise({1, 3, 1, 1}, 4);
  Tensor seed({1, 3, 1, 1}, DType::kFloat64);
  std::ranges::fill(seed.values<double>(), 1.0);
  const NativeStep step = run_native(graph, weights, input, {&seed, 1});
  for (size_t c = 0; c < 3; ++c) {
    const float gamma = weights.at("bn.weight").values()[c], var = weights.at("bn.running_var").values()[c];
    const double rounding = std::abs(gamma * input.values()[c]) / std::sqrt(1e-5) * 1.2e-7;
    EXPECT_NEAR(step.values[0].values()[c], weights.at("bn.bias").values()[c], rounding + 1e-6);
    EXPECT_NEAR(step.input.values()[c], 0, std::abs(gamma) / std::sqrt(1e-5) * 1.2e-7);
    EXPECT_FLOAT_EQ(step.statistics.at("bn.running_var").values()[c], 0.9F * var);
    EXPECT_EQ(step.gradients.at("bn.bias").values()[c], 1);
    EXPECT_NEAR(step.gradients.at("bn.weight").values()[c], 0, rounding + 1e-6);
  }
}

}  // namespace
}  // namespace marrow::testing
