// Whole training runs on our own kernels against golden/yolov8/train.
#include <gtest/gtest.h>

#include <cmath>

#include "marrow/train/native/native_executor.h"
#include "support/recorded_runs.h"

namespace marrow {
namespace {

using nlohmann::json;
using testing::RecordedRun;

// golden/yolov8/README.md, "train". From random weights rounding grows: what step 0 rounds moves the numbers
// of step 1 by up to 3e-5, with the vector instructions alone (MARROW_SIMD). EveryStepAloneMatches holds step
// 1 to 1e-5, from the recorded state before it.
struct Tolerances {
  double first, second, late;  // steps 0, 1 and the others. Relative for losses and norms
  double weights;              // absolute
};
Tolerances tolerances_of(const RecordedRun& run) {
  if (run.has("snapshots")) return {1e-5, 5e-5, 2e-3, 2e-3};
  if (run.settings().optimizer == train::OptimizerKind::kSgd) return {1e-4, 1e-4, 1e-4, 1e-4};
  return {1e-3, 1e-3, 1e-3, 1e-3};
}

TEST(parity_native, RunsFollowTheRecordedTrajectory) {
  testing::for_each_recorded_run([](const RecordedRun& run) {
    const Tolerances tolerances = tolerances_of(run);
    const auto executor = train::make_native_executor(run.graph(), run.start(), run.settings());
    for (const json& step : run.steps()) {
      const int number = step.at("step");
      SCOPED_TRACE("step " + std::to_string(number));
      const double tolerance = number == 0   ? tolerances.first
                               : number == 1 ? tolerances.second
                                             : tolerances.late;
      const auto near = [&](double found, double wanted, const char* what) {
        EXPECT_NEAR(found, wanted, tolerance * std::abs(wanted)) << what;
      };
      const std::vector<double> terms = executor->accumulate(run.batch(), {});
      for (size_t k = 0; k < 3; ++k) near(terms[k], step.at("loss_items").at(k), "loss");
      const auto images = static_cast<double>(run.batch().images.dim(0));
      near((terms[0] + terms[1] + terms[2]) * images, step.at("loss_sum_x_batch"), "loss x batch");
      if (number == 0) {
        const Weights gradients = executor->gradients();
        for (const auto& [name, wanted] : run.file("grad_step0")) {
          // A tensor's gradient is held to its largest entry.
          double largest = 0;
          for (const float x : wanted.values()) largest = std::max(largest, std::abs(double{x}));
          ASSERT_TRUE(gradients.contains(name)) << name;
          EXPECT_LE(testing::largest_difference(gradients.at(name), wanted), 1e-5 + 1e-4 * largest) << name;
        }
      }
      near(run.update(*executor), step.at("grad_norm_before_clip"), "gradient norm");
      const train::ExecutorState state = executor->state();
      EXPECT_EQ(state.average_updates, step.at("ema_updates").get<int64_t>());
      double parameters = 0, means = 0, variances = 0, all_means = 0;
      for (const Parameter& p : run.graph().parameters)
        for (const float value : state.weights.at(p.name).to_float().values()) {
          if (p.counted()) parameters += std::abs(double{value});
          if (p.role == ParameterRole::kRunningVar) variances += value;
          if (p.role != ParameterRole::kRunningMean) continue;
          means += value;
          all_means += std::abs(double{value});
        }
      near(parameters, step.at("param_abs_sum"), "sum of parameters");
      near(variances, step.at("running_var_sum"), "sum of variances");
      // Positive and negative means cancel in the sum.
      EXPECT_NEAR(means, step.at("running_mean_sum").get<double>(), tolerance * all_means) << "sum of means";
      if (number == 0)
        testing::expect_weights(state.weights, run.file("after_step0"), std::min(tolerances.weights, 1e-4));
    }
    const train::ExecutorState state = executor->state();
    testing::expect_weights(state.weights, run.file("final"), tolerances.weights);
    testing::expect_weights(state.average, run.file("ema"), tolerances.weights);
    const Value output = run.graph().find("output0");
    const Tensor found = executor->evaluate_average(run.batch(), std::span(&output, 1)).outputs[0];
    EXPECT_LE(relative_difference(found, run.file("eval_out").at("ema_eval_output0")), tolerances.weights);
  });
}

// Each step from the recorded state before it, so that nothing grows.
TEST(parity_native, EveryStepAloneMatches) {
  int steps_compared = 0;
  testing::for_each_recorded_run([&](const RecordedRun& run) {
    if (!run.has("snapshots")) return;
    const auto executor = train::make_native_executor(run.graph(), run.start(), run.settings());
    const std::string slot = "momentum_buffer/";
    for (size_t step = 1; step < run.steps().size(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      train::ExecutorState before = run.start();
      before.optimizer_steps = static_cast<int64_t>(step);
      for (const auto& [name, tensor] : run.snapshot(static_cast<int>(step) - 1))
        if (name.starts_with(slot))
          before.optimizer["momentum/" + name.substr(slot.size())] = tensor;
        else
          before.weights[name] = tensor;
      ASSERT_FALSE(before.optimizer.empty());
      executor->load(before);
      const std::vector<double> terms = executor->accumulate(run.batch(), {});
      for (size_t k = 0; k < 3; ++k) {
        const double wanted = run.steps()[step].at("loss_items").at(k);
        EXPECT_NEAR(terms[k], wanted, 1e-5 * wanted);
      }
      const double norm = run.steps()[step].at("grad_norm_before_clip");
      EXPECT_NEAR(run.update(*executor), norm, 1e-5 * norm);
      const train::ExecutorState after = executor->state();
      for (const auto& [name, wanted] : run.snapshot(static_cast<int>(step)))
        if (name.starts_with(slot))
          EXPECT_LE(relative_difference(after.optimizer.at("momentum/" + name.substr(slot.size())), wanted),
                    1e-3)
              << name;
        else
          EXPECT_LE(testing::largest_difference(after.weights.at(name), wanted), 1e-4) << name;
      ++steps_compared;
    }
  });
  EXPECT_TRUE(steps_compared > 0 || testing::golden_parts("yolov8/train").empty());
}

}  // namespace
}  // namespace marrow
