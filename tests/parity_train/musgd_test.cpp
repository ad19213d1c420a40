// MuSGD's step against recorded ones.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/graph/builder.h"
#include "marrow/train/optimizer.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

using nlohmann::json;

// golden-2/compat/train: bfloat16 inside; NS5 in fp64 is up to 1.5e-2 off, parameters after a step 1e-4 at lr
// 0.02.
constexpr double kDirection = 2e-2;
constexpr double kRoundedDirection = 1e-3;  // the same roundings, other orders of sums
constexpr double kParameters = 1e-4;

double largest(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(parity_musgd, StepsAreTheRecordedOnes) {
  testing::for_each_golden("compat/train/musgd_unit.json", [](const std::filesystem::path& path) {
    const json recorded = testing::read_json(path);
    auto stem = path;
    const Weights tensors = weights::read_safetensors(stem.replace_extension(".safetensors")).tensors;
    const auto tensor = [&](size_t i, const std::string& name) {
      return train::to_torch(tensors.at(std::to_string(i) + "." + name));
    };
    ASSERT_FALSE(recorded.at("tensors").empty());
    for (size_t i = 0; i < recorded.at("tensors").size(); ++i) {
      SCOPED_TRACE(recorded.at("tensors")[i].dump());
      // A graph with one parameter of the shape.
      Graph graph;
      graph.parameters.push_back(
          {"w", tensors.at(std::to_string(i) + ".param0").shape(), ParameterRole::kWeight, {}});
      train::TorchExecutor executor(graph, {{"w", tensors.at(std::to_string(i) + ".param0")}});
      train::Optimizer optimizer(executor,
                                 train::parameter_groups(graph, recorded.at("weight_decay"),
                                                         train::OptimizerKind::kMuSgd, Rules::k84),
                                 {train::OptimizerKind::kMuSgd, 0.9});
      const double lr = recorded.at("lr"), momentum = recorded.at("momentum");
      for (int step = 0; step < 2; ++step) {
        const std::string after = std::to_string(step + 1);
        executor.parameter("w").mutable_grad() = tensor(i, "grad" + std::to_string(step));
        if (step == 0) {
          const torch::Tensor gradient = tensor(i, "grad0").reshape({tensor(i, "grad0").size(0), -1});
          const torch::Tensor direction = train::orthogonalised(gradient);
          EXPECT_LE(largest(direction, tensor(i, "ns_bf16").to(torch::kFloat32)), kRoundedDirection);
          EXPECT_LE(largest(direction, tensor(i, "ns_fp64").to(torch::kFloat32)), kDirection);
        }
        optimizer.step({lr, lr, momentum, 1});
        EXPECT_LE(largest(executor.parameter("w").detach(), tensor(i, "param" + after)), kParameters);
        const Weights state = optimizer.state().tensors;
        EXPECT_LE(largest(train::to_torch(state.at("momentum/w")), tensor(i, "momentum_buffer_SGD" + after)),
                  1e-5);
        EXPECT_LE(largest(train::to_torch(state.at("variance/w")), tensor(i, "momentum_buffer" + after)),
                  1e-5);
      }
    }
  });
}

}  // namespace
}  // namespace marrow
