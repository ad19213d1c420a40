// The optimizers over flat parameters against those over LibTorch's tensors, step by step.
#include "marrow/train/step/flat_optimizer.h"

#include <gtest/gtest.h>

#include "marrow/train/torch/ema.h"
#include "marrow/train/torch/optimizer.h"
#include "train/step/small_parameters.h"

namespace marrow::train {
namespace {

constexpr double kAdamsBeta1 = 0.9;
constexpr int kComparedSteps = 10;
const std::vector<std::string> kFrozenParts = {"fc.weight"};

// Both hold the same, and are given the same gradients.
class BothOptimizers {
 public:
  explicit BothOptimizers(OptimizerKind kind)
      : graph_(testing::graph_with_all_roles()),
        trained_(graph_, randomize(graph_, 3), {.frozen = kFrozenParts}),
        average_(graph_, randomize(graph_, 4)),
        theirs_(trained_, parameter_groups(graph_, 0.01, kind), {kind, kAdamsBeta1}),
        ema_(average_),
        pool_(2),
        parameters_(graph_, kFrozenParts),
        ours_(parameters_, parameter_groups(graph_, 0.01, kind), kind, kAdamsBeta1) {
    parameters_.load(trained_.weights(), average_.weights());
  }

  // Gradients of two batches, statistics that moved, and one update. Every third time nothing contributes to
  // the bias of the first convolution.
  void step(int step, double max_norm) {
    trained_.zero_gradients();
    for (const int batch : {0, 1}) {
      for (const FlatParameters::Entry& entry : parameters_.entries()) {
        if (!entry.trained || (step % 3 == 2 && entry.name == "conv.bias")) continue;
        const std::vector<float> added =
            testing::gradient_of(entry.name, static_cast<size_t>(entry.size), 2 * step + batch);
        const std::span<float> gradient = parameters_.gradient(entry.name);
        for (size_t i = 0; i < added.size(); ++i)
          gradient[i] = entry.has_gradient ? gradient[i] + added[i] : added[i];
        parameters_.set_has_gradient(entry.name);

        torch::Tensor& theirs = trained_.parameter(entry.name).mutable_grad();
        const torch::Tensor as_tensor = to_torch(Tensor::from(entry.shape, added));
        theirs = theirs.defined() ? theirs + as_tensor : as_tensor;
      }
    }
    const torch::NoGradGuard no_grad;
    torch::Tensor mean = trained_.parameter("bn.running_mean");
    mean.add_(0.125);
    for (float& value : parameters_.value("bn.running_mean")) value += 0.125F;
    trained_.set_scalar("slope", 0.5 + 0.01 * step);
    parameters_.value("slope")[0] = static_cast<float>(0.5 + 0.01 * step);

    // LibTorch adds up its norm in float32. Its limit is moved by as much, so that both scale alike.
    constexpr double kNoLimit = 1e30;
    const double their_norm = theirs_.clip_gradients(kNoLimit);
    const double norm = ours_.clip_gradients(max_norm, 1, pool_);
    EXPECT_NEAR(norm, their_norm, 1e-6 * norm);
    EXPECT_EQ(norm > max_norm, max_norm < kNoLimit);
    theirs_.clip_gradients(max_norm * their_norm / norm);
    const IterationSettings settings = {0.05 - 0.002 * step, 0.02 + 0.001 * step, 0.8 + 0.01 * step, 1};
    theirs_.step(settings);
    ema_.update(trained_);
    ours_.update(settings, pool_);
  }

  void expect_equal(double tolerance) const {
    expect_equal(parameters_.weights(), trained_.weights(), tolerance);
    expect_equal(parameters_.average(), average_.weights(), tolerance);
    const Optimizer::State theirs = theirs_.state();
    const FlatOptimizer::State ours = ours_.state();
    EXPECT_EQ(ours.steps, theirs.steps);
    EXPECT_EQ(ours.momentum_product, theirs.momentum_product);
    EXPECT_EQ(ours.average_updates, ema_.updates());
    expect_equal(ours.tensors, theirs.tensors, tolerance);
  }

 private:
  static void expect_equal(const Weights& ours, const Weights& theirs, double tolerance) {
    ASSERT_EQ(ours.size(), theirs.size());
    for (const auto& [name, tensor] : theirs) {
      ASSERT_TRUE(ours.contains(name)) << name;
      EXPECT_LE(relative_difference(ours.at(name), tensor), tolerance) << name;
    }
  }

  Graph graph_;
  TorchExecutor trained_, average_;
  Optimizer theirs_;
  Ema ema_;
  cpu::ThreadPool pool_;
  FlatParameters parameters_;
  FlatOptimizer ours_;
};

class EveryOptimizer : public ::testing::TestWithParam<OptimizerKind> {};

TEST_P(EveryOptimizer, StepsAsOverLibTorchsTensors) {
  // Of MuSGD a sum that lies between two bfloat16 numbers becomes one or the other with the order of its
  // additions: at levels without fused ones weights are up to 3e-5 off.
  const double tolerance = GetParam() == OptimizerKind::kMuSgd ? 1e-4 : 1e-6;
  for (const double max_norm : {10.0, 1e30}) {
    SCOPED_TRACE(max_norm);
    BothOptimizers both(GetParam());
    for (int step = 0; step < kComparedSteps; ++step) {
      SCOPED_TRACE(step);
      both.step(step, max_norm);
      both.expect_equal(tolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(FlatOptimizer, EveryOptimizer,
                         ::testing::Values(OptimizerKind::kSgd, OptimizerKind::kMuSgd, OptimizerKind::kAdam,
                                           OptimizerKind::kAdamax, OptimizerKind::kAdamW,
                                           OptimizerKind::kNadam, OptimizerKind::kRadam,
                                           OptimizerKind::kRmsProp),
                         [](const auto& info) {
                           return std::string(kOptimizerNames[static_cast<size_t>(info.param)]);
                         });

}  // namespace
}  // namespace marrow::train
