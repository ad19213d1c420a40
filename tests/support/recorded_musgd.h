// Recorded steps of MuSGD, golden-2/compat/train/musgd_unit.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "marrow/train/step/parameter_groups.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/read_json.h"

namespace marrow::testing {

// golden-2/README.md, "train": bfloat16 inside; NS5 in fp64 is up to 1.5e-2 off, parameters after a step 1e-4
// at lr 0.02.
inline constexpr double kDirection = 2e-2;
inline constexpr double kRoundedDirection = 1e-3;  // the same roundings, other orders of sums
inline constexpr double kParameters = 1e-4;

inline constexpr double kUnusedBeta1 = 0.9;  // Adam's family alone reads it

// MuSgd trains one parameter "w" of a graph:
//   MuSgd(graph, groups, start), static orthogonalized(matrix), step(gradient, settings), parameter(),
//   state().
template <class MuSgd>
void expect_recorded_musgd_steps() {
  for_each_golden("compat/train/musgd_unit.json", [](const std::filesystem::path& path) {
    const nlohmann::json recorded = read_json(path);
    auto stem = path;
    const Weights tensors = weights::read_safetensors(stem.replace_extension(".safetensors")).tensors;
    ASSERT_FALSE(recorded.at("tensors").empty());
    for (size_t i = 0; i < recorded.at("tensors").size(); ++i) {
      SCOPED_TRACE(recorded.at("tensors")[i].dump());
      const auto tensor = [&](const std::string& name) { return tensors.at(std::to_string(i) + "." + name); };
      // A graph with one parameter of the shape.
      Graph graph;
      graph.parameters.push_back({"w", tensor("param0").shape(), ParameterRole::kWeight, {}});
      MuSgd musgd(graph,
                  train::parameter_groups(graph, recorded.at("weight_decay"), train::OptimizerKind::kMuSgd,
                                          Rules::k84),
                  tensor("param0"));

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
  });
}

}  // namespace marrow::testing
