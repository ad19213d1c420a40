// Update rules against LibTorch's own where it has them, and against the papers' formulas in double precision
// where it has not; and that a saved state goes on to the bit.
#include "marrow/train/torch/optimizer.h"

#include <gtest/gtest.h>
#include <torch/optim.h>

#include <cmath>
#include <functional>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/graph/builder.h"
#include "marrow/train/torch/ema.h"

namespace marrow::train {
namespace {

constexpr OptimizerKind kAllKinds[] = {OptimizerKind::kSgd,    OptimizerKind::kAdam,  OptimizerKind::kAdamax,
                                       OptimizerKind::kAdamW,  OptimizerKind::kNadam, OptimizerKind::kRadam,
                                       OptimizerKind::kRmsProp};
constexpr double kBeta1 = 0.9;
constexpr double kDecay = 0.01;

Graph small_graph() {
  GraphBuilder g;
  const Value image = g.input(3);
  const Value x = g.batch_norm(g.conv(image, "conv", {.out = 4, .kernel = 3, .bias = true}), "bn");
  g.constant("bins", {1, 16, 1, 1}, Init::arange());
  g.output("output0", g.leaky_relu(x, g.scalar("slope", 0.5)));
  return std::move(g).build();
}

// The gradients of the n-th step: anything that differs from step to step.
void set_gradients(const TorchExecutor& executor, int step) {
  double salt = 0;
  for (const Parameter& parameter : executor.graph().parameters) {
    if (!parameter.trainable()) continue;
    const torch::Tensor& tensor = executor.parameter(parameter.name);
    salt += 1;
    torch::Tensor gradient = torch::arange(tensor.numel(), torch::kFloat32).mul(0.7).add(salt + step).sin();
    tensor.mutable_grad() = gradient.view(tensor.sizes()).mul(step % 2 == 0 ? 1.0 : -0.3).contiguous();
  }
}

IterationSettings settings_of(int step) {
  return {0.05 - 0.002 * step, 0.02 + 0.001 * step, 0.8 + 0.01 * step, 1};
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

class Trained {
 public:
  explicit Trained(OptimizerKind kind)
      : executor(small_graph(), randomize(small_graph(), 3)),
        optimizer(executor, parameter_groups(executor.graph(), kDecay, kind, Rules::k83), {kind, kBeta1}) {}
  void steps(int from, int to) {
    for (int step = from; step < to; ++step) {
      set_gradients(executor, step);
      optimizer.step(settings_of(step));
    }
  }
  TorchExecutor executor;
  Optimizer optimizer;
};

// The same steps by one of LibTorch's optimizers.
void expect_equals_torch(
    OptimizerKind kind,
    const std::function<
        std::unique_ptr<torch::optim::Optimizer>(std::vector<torch::optim::OptimizerParamGroup>)>& make,
    const std::function<void(torch::optim::OptimizerOptions&, double lr, double momentum)>& set) {
  Trained ours(kind), theirs(kind);
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const ParameterGroup& group : theirs.optimizer.groups()) {
    std::vector<torch::Tensor> tensors;
    for (const std::string& name : group.names) tensors.push_back(theirs.executor.parameter(name));
    groups.emplace_back(tensors);
  }
  const auto optimizer = make(groups);
  for (int step = 0; step < 6; ++step) {
    ours.steps(step, step + 1);
    set_gradients(theirs.executor, step);
    const IterationSettings s = settings_of(step);
    for (size_t g = 0; g < 3; ++g)
      set(optimizer->param_groups()[g].options(), g == 0 ? s.bias_lr : s.lr, s.momentum);
    optimizer->step();
    for (const auto& [name, tensor] : ours.executor.state())
      EXPECT_LE(largest_difference(tensor, theirs.executor.parameter(name)), 1e-6)
          << name << " after step " << step;
  }
}

// LibTorch wants the decay a group; ours is of the middle group.
template <class Options>
std::vector<torch::optim::OptimizerParamGroup> with_decay(
    std::vector<torch::optim::OptimizerParamGroup> groups, const Options& options) {
  for (size_t g = 0; g < groups.size(); ++g) {
    auto own = std::make_unique<Options>(options);
    own->weight_decay(g == 1 ? kDecay : 0.0);
    groups[g].set_options(std::move(own));
  }
  return groups;
}

TEST(Optimizer, SgdIsNesterovs) {
  using Options = torch::optim::SGDOptions;
  expect_equals_torch(
      OptimizerKind::kSgd,
      [](auto groups) {
        const Options options = Options(0.1).momentum(0.9).nesterov(true);
        return std::make_unique<torch::optim::SGD>(with_decay(groups, options), options);
      },
      [](auto& options, double lr, double momentum) {
        static_cast<Options&>(options).lr(lr);
        static_cast<Options&>(options).momentum(momentum);
      });
}

TEST(Optimizer, AdamEqualsLibTorchs) {
  using Options = torch::optim::AdamOptions;
  expect_equals_torch(
      OptimizerKind::kAdam,
      [](auto groups) {
        const Options options(0.1);
        return std::make_unique<torch::optim::Adam>(with_decay(groups, options), options);
      },
      [](auto& options, double lr, double) { static_cast<Options&>(options).lr(lr); });
}

TEST(Optimizer, AdamWEqualsLibTorchs) {
  using Options = torch::optim::AdamWOptions;
  expect_equals_torch(
      OptimizerKind::kAdamW,
      [](auto groups) {
        const Options options(0.1);
        return std::make_unique<torch::optim::AdamW>(with_decay(groups, options), options);
      },
      [](auto& options, double lr, double) { static_cast<Options&>(options).lr(lr); });
}

TEST(Optimizer, RmsPropEqualsLibTorchs) {
  using Options = torch::optim::RMSpropOptions;
  expect_equals_torch(
      OptimizerKind::kRmsProp,
      [](auto groups) {
        const Options options = Options(0.1).momentum(0.9);
        return std::make_unique<torch::optim::RMSprop>(with_decay(groups, options), options);
      },
      [](auto& options, double lr, double momentum) {
        static_cast<Options&>(options).lr(lr);
        static_cast<Options&>(options).momentum(momentum);
      });
}

// One number's path by the formulas of the papers.
class Scalar {
 public:
  Scalar(OptimizerKind kind, double value, double decay) : kind_(kind), value_(value), decay_(decay) {}

  void step(double gradient, double lr) {
    constexpr double kBeta2 = 0.999, kEps = 1e-8;
    t_ += 1;
    gradient += decay_ * value_;
    mean_ = kBeta1 * mean_ + (1 - kBeta1) * gradient;
    square_ = kBeta2 * square_ + (1 - kBeta2) * gradient * gradient;
    const double corrected = mean_ / (1 - std::pow(kBeta1, t_));
    const double variance = square_ / (1 - std::pow(kBeta2, t_));
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
      value_ -= lr * step / (std::sqrt(variance) + kEps);
    } else {
      // Liu et al. 2020, algorithm 2
      const double longest = 2 / (1 - kBeta2) - 1;
      const double length = longest - 2 * t_ * std::pow(kBeta2, t_) / (1 - std::pow(kBeta2, t_));
      if (length > 5) {
        const double r =
            std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
        value_ -= lr * r * corrected / (std::sqrt(variance) + kEps);
        rectified_ = true;
      } else {
        value_ -= lr * corrected;
      }
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

TEST(Optimizer, OthersFollowTheirPapers) {
  for (const OptimizerKind kind : {OptimizerKind::kAdamax, OptimizerKind::kNadam, OptimizerKind::kRadam}) {
    SCOPED_TRACE(static_cast<int>(kind));
    Trained setup(kind);
    const auto first = [&](const char* name) { return setup.executor.parameter(name).flatten()[0]; };
    Scalar weight(kind, first("conv.weight").item<double>(), kDecay);
    Scalar bias(kind, first("conv.bias").item<double>(), 0);
    for (int step = 0; step < 12; ++step) {
      set_gradients(setup.executor, step);
      const double weight_gradient =
          setup.executor.parameter("conv.weight").grad().flatten()[0].item<double>();
      const double bias_gradient = setup.executor.parameter("conv.bias").grad().flatten()[0].item<double>();
      setup.optimizer.step(settings_of(step));
      weight.step(weight_gradient, settings_of(step).lr);
      bias.step(bias_gradient, settings_of(step).bias_lr);
      EXPECT_NEAR(first("conv.weight").item<double>(), weight.value(), 2e-6) << step;
      EXPECT_NEAR(first("conv.bias").item<double>(), bias.value(), 2e-6) << step;
    }
    EXPECT_EQ(weight.rectified(), kind == OptimizerKind::kRadam);
  }
}

TEST(Optimizer, GoesOnToTheBitFromASavedState) {
  for (const OptimizerKind kind : kAllKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    Trained straight(kind), first(kind), second(kind);
    straight.steps(0, 9);
    first.steps(0, 4);
    second.executor.load(first.executor.weights());
    second.optimizer.load(first.optimizer.state());
    second.steps(4, 9);
    for (const auto& [name, tensor] : straight.executor.state())
      EXPECT_TRUE(torch::equal(tensor, second.executor.parameter(name))) << name;
  }
}

TEST(Optimizer, RefusesAForeignState) {
  Trained setup(OptimizerKind::kAdam);
  Optimizer::State state;
  state.tensors["momentum/elsewhere.weight"] = Tensor({4});
  EXPECT_THROW(setup.optimizer.load(state), Error);
  state.tensors = {{"momentum/conv.bias", Tensor({5})}};
  EXPECT_THROW(setup.optimizer.load(state), Error);
  state.tensors = {{"nonsense/conv.bias", Tensor({4})}};
  EXPECT_THROW(setup.optimizer.load(state), Error);
}

TEST(Optimizer, LeavesParametersWithoutGradientAlone) {
  for (const OptimizerKind kind : kAllKinds) {
    Trained setup(kind);
    const Weights before = setup.executor.weights();
    set_gradients(setup.executor, 0);
    setup.executor.parameter("conv.weight").mutable_grad().reset();
    setup.optimizer.step(settings_of(0));
    const Weights after = setup.executor.weights();
    for (const char* name : {"conv.weight", "slope", "bins", "bn.running_mean"})
      EXPECT_EQ(relative_difference(after.at(name), before.at(name)), 0) << name;
    EXPECT_GT(relative_difference(after.at("conv.bias"), before.at("conv.bias")), 0);
  }
}

TEST(Optimizer, ClipsTheGlobalNorm) {
  Trained setup(OptimizerKind::kSgd);
  set_gradients(setup.executor, 0);
  double squares = 0;
  for (const auto& [name, tensor] : setup.executor.state())
    if (tensor.grad().defined()) squares += tensor.grad().to(torch::kFloat64).pow(2).sum().item<double>();
  const torch::Tensor first = setup.executor.parameter("conv.bias").grad().clone();
  const double norm = std::sqrt(squares);
  EXPECT_NEAR(setup.optimizer.clip_gradients(2 * norm), norm, 1e-5 * norm);
  EXPECT_TRUE(torch::equal(setup.executor.parameter("conv.bias").grad(), first));
  EXPECT_NEAR(setup.optimizer.clip_gradients(norm / 4), norm, 1e-5 * norm);
  EXPECT_LE(largest_difference(setup.executor.parameter("conv.bias").grad(), first / 4), 1e-6);
  // What a gradient scaler multiplied comes back first.
  set_gradients(setup.executor, 0);
  EXPECT_NEAR(setup.optimizer.clip_gradients(1e9, 0.5), norm / 2, 1e-5 * norm);
  setup.executor.parameter("conv.bias").mutable_grad().fill_(std::numeric_limits<float>::infinity());
  EXPECT_FALSE(std::isfinite(setup.optimizer.clip_gradients(1)));
}

TEST(Ema, AveragesWhatIsTrainedAndCopiesTheRest) {
  const Graph graph = small_graph();
  TorchExecutor model(graph, randomize(graph, 1)), average(graph, randomize(graph, 2));
  const Weights before = average.weights();
  model.set_scalar("slope", 0.75);
  {
    const torch::NoGradGuard no_grad;
    torch::Tensor counter = model.parameter("bn.num_batches_tracked");
    counter.fill_(7);
  }
  Ema ema(average, 1999);
  ema.update(model);
  EXPECT_EQ(ema.updates(), 2000);
  const double keep = 0.9999 * (1 - std::exp(-1.0));
  for (const char* name : {"conv.weight", "conv.bias", "bn.weight", "bn.running_var"}) {
    const torch::Tensor wanted = keep * to_torch(before.at(name)) + (1 - keep) * model.parameter(name);
    EXPECT_LE(largest_difference(average.parameter(name), wanted), 1e-6) << name;
  }
  EXPECT_EQ(average.parameter("slope").item<double>(), 0.75);
  EXPECT_TRUE(torch::equal(average.parameter("bins"), model.parameter("bins")));
  EXPECT_EQ(average.parameter("bn.num_batches_tracked").item<int64_t>(), 0);
}

}  // namespace
}  // namespace marrow::train
