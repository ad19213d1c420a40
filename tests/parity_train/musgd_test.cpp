// MuSGD's step against recorded ones, over LibTorch's tensors and over flat parameters.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/train/torch/optimizer.h"
#include "marrow/train/step/flat_optimizer.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;
using testing::largest_difference;

// golden-2/compat/train: bfloat16 inside; NS5 in fp64 is up to 1.5e-2 off, parameters after a step 1e-4 at lr
// 0.02.
constexpr double kDirection = 2e-2;
constexpr double kRoundedDirection = 1e-3;  // the same roundings, other orders of sums
constexpr double kParameters = 1e-4;

constexpr double kUnusedBeta1 = 0.9;

// Both train one parameter "w".
class OverTensors {
 public:
  OverTensors(const Graph& graph, const Tensor& start, double decay)
      : executor_(graph, {{"w", start}}),
        optimizer_(executor_, train::parameter_groups(graph, decay, train::OptimizerKind::kMuSgd, Rules::k84),
                   {train::OptimizerKind::kMuSgd, kUnusedBeta1}) {}
  static Tensor orthogonalized(const Tensor& matrix) {
    return train::from_torch(train::orthogonalised(train::to_torch(matrix)));
  }
  void step(const Tensor& gradient, const train::IterationSettings& settings) {
    executor_.parameter("w").mutable_grad() = train::to_torch(gradient);
    optimizer_.step(settings);
  }
  Tensor parameter() const { return executor_.weights().at("w"); }
  Weights state() const { return optimizer_.state().tensors; }

 private:
  train::TorchExecutor executor_;
  train::Optimizer optimizer_;
};

class OverFlatParameters {
 public:
  OverFlatParameters(const Graph& graph, const Tensor& start, double decay)
      : pool_(1),
        parameters_(graph),
        optimizer_(parameters_,
                   train::parameter_groups(graph, decay, train::OptimizerKind::kMuSgd, Rules::k84),
                   train::OptimizerKind::kMuSgd, kUnusedBeta1) {
    parameters_.load({{"w", start}}, {{"w", start}});
  }
  static Tensor orthogonalized(const Tensor& matrix) {
    Tensor copy = matrix.clone();
    train::Orthogonalizer().orthogonalize(copy.values(), copy.dim(0), copy.dim(1));
    return copy;
  }
  void step(const Tensor& gradient, const train::IterationSettings& settings) {
    std::ranges::copy(gradient.values(), parameters_.gradient("w").begin());
    parameters_.set_has_gradient("w");
    optimizer_.update(settings, pool_);
  }
  Tensor parameter() const { return parameters_.weights().at("w"); }
  Weights state() const { return optimizer_.state().tensors; }

 private:
  cpu::ThreadPool pool_;
  train::FlatParameters parameters_;
  train::FlatOptimizer optimizer_;
};

template <class MuSgd>
void expect_recorded_steps(const std::filesystem::path& path) {
  const json recorded = testing::read_json(path);
  auto stem = path;
  const Weights tensors = weights::read_safetensors(stem.replace_extension(".safetensors")).tensors;
  ASSERT_FALSE(recorded.at("tensors").empty());
  for (size_t i = 0; i < recorded.at("tensors").size(); ++i) {
    SCOPED_TRACE(recorded.at("tensors")[i].dump());
    const auto tensor = [&](const std::string& name) { return tensors.at(std::to_string(i) + "." + name); };
    // A graph with one parameter of the shape.
    Graph graph;
    graph.parameters.push_back({"w", tensor("param0").shape(), ParameterRole::kWeight, {}});
    MuSgd musgd(graph, tensor("param0"), recorded.at("weight_decay"));

    const Tensor first = tensor("grad0");
    const Tensor direction =
        MuSgd::orthogonalized(first.reshape({first.dim(0), first.size() / first.dim(0)}));
    EXPECT_LE(largest_difference(direction, tensor("ns_bf16")), kRoundedDirection);
    EXPECT_LE(largest_difference(direction, tensor("ns_fp64")), kDirection);
    const double lr = recorded.at("lr"), momentum = recorded.at("momentum");
    for (int step = 0; step < 2; ++step) {
      const std::string after = std::to_string(step + 1);
      musgd.step(tensor("grad" + std::to_string(step)), {lr, lr, momentum, 1});
      EXPECT_LE(largest_difference(musgd.parameter(), tensor("param" + after)), kParameters);
      const Weights state = musgd.state();
      EXPECT_LE(largest_difference(state.at("momentum/w"), tensor("momentum_buffer_SGD" + after)), 1e-5);
      EXPECT_LE(largest_difference(state.at("variance/w"), tensor("momentum_buffer" + after)), 1e-5);
    }
  }
}

TEST(parity_musgd, StepsAreTheRecordedOnes) {
  testing::for_each_golden("compat/train/musgd_unit.json", expect_recorded_steps<OverTensors>);
}

TEST(parity_musgd, StepsOverFlatParametersAreTheRecordedOnes) {
  testing::for_each_golden("compat/train/musgd_unit.json", expect_recorded_steps<OverFlatParameters>);
}

}  // namespace
}  // namespace marrow
