// The rules against the papers' formulas, and the roundings of one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "small_run.h"

namespace marrow::train {
namespace {

using testing::set_gradients;

// One number's path by the formulas of the papers, in double precision.
class Path {
 public:
  Path(OptimizerKind kind, double value, double decay) : kind_(kind), value_(value), decay_(decay) {}

  void step(double gradient, double lr, double momentum) {
    constexpr double kBeta2 = 0.999, kEps = 1e-8, kAlpha = 0.99;
    t_ += 1;
    if (kind_ == OptimizerKind::kAdamW)
      value_ -= lr * decay_ * value_;  // Loshchilov and Hutter 2019, algorithm 2
    else
      gradient += decay_ * value_;
    if (kind_ == OptimizerKind::kSgd || kind_ == OptimizerKind::kMuSgd) {
      mean_ = momentum * mean_ + gradient;
      value_ -= lr * (gradient + momentum * mean_);
      return;
    }
    if (kind_ == OptimizerKind::kRmsProp) {
      square_ = kAlpha * square_ + (1 - kAlpha) * gradient * gradient;
      mean_ = momentum * mean_ + gradient / (std::sqrt(square_) + kEps);
      value_ -= lr * mean_;
      return;
    }
    mean_ = kBeta1 * mean_ + (1 - kBeta1) * gradient;
    square_ = kBeta2 * square_ + (1 - kBeta2) * gradient * gradient;
    const double corrected = mean_ / (1 - std::pow(kBeta1, t_));
    const double deviation = std::sqrt(square_ / (1 - std::pow(kBeta2, t_)));
    if (kind_ == OptimizerKind::kAdamax) {
      // Kingma and Ba 2015, section 7.1
      largest_ = std::max(kBeta2 * largest_, std::abs(gradient) + kEps);
      value_ -= lr * corrected / largest_;
    } else if (kind_ == OptimizerKind::kNadam) {
      // Dozat 2016, algorithm 8, with the schedule of its section 3
      const auto mu = [](double t) { return kBeta1 * (1 - 0.5 * std::pow(0.96, 0.004 * t)); };
      product_ *= mu(t_);
      const double step =
          mu(t_ + 1) * mean_ / (1 - product_ * mu(t_ + 1)) + (1 - mu(t_)) * gradient / (1 - product_);
      value_ -= lr * step / (deviation + kEps);
    } else if (kind_ == OptimizerKind::kRadam) {
      // Liu et al. 2020, algorithm 2
      const double longest = 2 / (1 - kBeta2) - 1;
      const double length = longest - 2 * t_ * std::pow(kBeta2, t_) / (1 - std::pow(kBeta2, t_));
      rectified_ = length > 5;
      value_ -= !rectified_ ? lr * corrected
                            : lr *
                                  std::sqrt((length - 4) * (length - 2) * longest /
                                            ((longest - 4) * (longest - 2) * length)) *
                                  corrected / (deviation + kEps);
    } else {
      value_ -= lr * corrected / (deviation + kEps);
    }
  }
  double value() const { return value_; }
  bool rectified() const { return rectified_; }

 private:
  OptimizerKind kind_;
  double value_, decay_;
  double t_ = 0, mean_ = 0, square_ = 0, largest_ = 0, product_ = 1;
  bool rectified_ = false;
};

// A weight that no MuSGD takes for a matrix, and a bias.
Graph vectors_alone() {
  Graph graph;
  graph.parameters = {{"w", {19}, ParameterRole::kWeight, Init::normal(0.5)},
                      {"b.bias", {3}, ParameterRole::kBias, Init::normal(0.5)}};
  return graph;
}

TEST(FlatOptimizer, FollowsThePapersOnSingleNumbers) {
  for (const cpu::SimdLevel level : cpu::available_simd_levels())
    for (const OptimizerKind kind : kAllKinds) {
      SCOPED_TRACE(::testing::Message() << cpu::simd_name(level) << ' ' << static_cast<int>(kind));
      SmallRun run(kind, 1, vectors_alone(), {}, level);
      Path weight(kind, run.parameters.value("w")[18], kDecay);
      Path bias(kind, run.parameters.value("b.bias")[2], 0);
      for (int step = 0; step < 12; ++step) {
        set_gradients(run.parameters, step);
        const IterationSettings settings = settings_of(step);
        weight.step(run.parameters.gradient("w")[18], settings.lr, settings.momentum);
        bias.step(run.parameters.gradient("b.bias")[2], settings.bias_lr, settings.momentum);
        run.optimizer.update(settings, run.pool);
        EXPECT_NEAR(run.parameters.value("w")[18], weight.value(), 2e-6) << step;
        EXPECT_NEAR(run.parameters.value("b.bias")[2], bias.value(), 2e-6) << step;
      }
      EXPECT_EQ(weight.rectified(), kind == OptimizerKind::kRadam);
    }
}

// PyTorch's kernels fuse some multiplications with the addition that follows, and no others.
TEST(FlatOptimizer, RoundsWhereAndOnlyWherePyTorchDoes) {
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    if (level < cpu::SimdLevel::kNeon) continue;  // has no fused ones
    SCOPED_TRACE(cpu::simd_name(level));
    SmallRun run(OptimizerKind::kSgd, 1, vectors_alone(), {}, level);
    std::vector<float> w(19), m(19), average(19);
    std::ranges::copy(run.parameters.value("w"), w.begin());
    std::ranges::copy(run.parameters.average_value("w"), average.begin());
    for (int step = 0; step < 6; ++step) {
      set_gradients(run.parameters, step);
      const IterationSettings settings = settings_of(step);
      const auto decay = static_cast<float>(kDecay), momentum = static_cast<float>(settings.momentum);
      const auto rate = static_cast<float>(-settings.lr);
      const auto share = static_cast<float>(1 - 0.9999 * (1 - std::exp(-(step + 1) / 2000.0)));
      ASSERT_GT(share, 0.5F);
      for (size_t i = 0; i < w.size(); ++i) {
        const float g = std::fma(w[i], decay, run.parameters.gradient("w")[i]);
        const float kept = m[i] * momentum;
        m[i] = kept + g;
        w[i] = std::fma(std::fma(m[i], momentum, g), rate, w[i]);
        const float left = 1 - share;
        average[i] = std::fma(average[i] - w[i], left, w[i]);
      }
      run.optimizer.update(settings, run.pool);
      expect_same_bytes(run.parameters.value("w"), w);
      expect_same_bytes(run.parameters.average_value("w"), average);
    }
  }
}

// Of a matrix of one number, which orthogonalized is a constant with the sign of Muon's momentum.
TEST(FlatOptimizer, MuSgdMovesAMatrixAlongItsDirectionFirst) {
  Graph graph;
  graph.parameters = {{"w", {1, 1}, ParameterRole::kWeight, Init::constant(0.7)}};
  SmallRun run(OptimizerKind::kMuSgd, 1, graph, {});
  std::vector<float> unit = {1};
  Orthogonalizer().orthogonalize(unit, 1, 1);
  double value = run.parameters.value("w")[0], momentum = 0, average = 0;
  for (int step = 0; step < 4; ++step) {
    const double gradient = step < 3 ? 0.3 : -2.0, keep = settings_of(step).momentum,
                 lr = settings_of(step).lr;
    run.parameters.gradient("w")[0] = static_cast<float>(gradient);
    run.parameters.set_has_gradient("w");
    run.optimizer.update(settings_of(step), run.pool);
    average = keep * average + (1 - keep) * gradient;
    const double ahead = keep * average + (1 - keep) * gradient;
    EXPECT_EQ(ahead < 0, step == 3);
    value -= 0.2 * lr * unit[0] * (ahead < 0 ? -1 : 1);
    const double decayed = gradient + kDecay * value;
    momentum = keep * momentum + decayed;
    value -= lr * (decayed + keep * momentum);
    EXPECT_NEAR(run.parameters.value("w")[0], value, 1e-6) << step;
    EXPECT_NEAR(run.optimizer.state().tensors.at("momentum/w").values()[0], momentum, 1e-6);
    EXPECT_NEAR(run.optimizer.state().tensors.at("variance/w").values()[0], average, 1e-6);
  }
}

}  // namespace
}  // namespace marrow::train
