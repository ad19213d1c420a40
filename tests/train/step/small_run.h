// An optimizer over the small graph's parameters, and steps of it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "marrow/train/step/flat_optimizer.h"
#include "small_parameters.h"

namespace marrow::train {

inline constexpr OptimizerKind kAllKinds[] = {
    OptimizerKind::kSgd,   OptimizerKind::kMuSgd, OptimizerKind::kAdam,  OptimizerKind::kAdamax,
    OptimizerKind::kAdamW, OptimizerKind::kNadam, OptimizerKind::kRadam, OptimizerKind::kRmsProp};
inline constexpr double kBeta1 = 0.9;
inline constexpr double kDecay = 0.01;

inline IterationSettings settings_of(int step) {
  return {0.05 - 0.002 * step, 0.02 + 0.001 * step, 0.8 + 0.01 * step, 1};
}

struct SmallRun {
  explicit SmallRun(OptimizerKind kind, int threads = 1, const Graph& graph = testing::graph_with_all_roles(),
                    const std::vector<std::string>& frozen = {"fc."},
                    cpu::SimdLevel level = cpu::choose_simd_level())
      : pool(threads),
        parameters(graph, frozen),
        optimizer(parameters, parameter_groups(graph, kDecay, kind), kind, kBeta1, level) {
    parameters.load(randomize(graph, 3), randomize(graph, 4));
  }
  void steps(int from, int to, double max_norm = 2) {
    for (int step = from; step < to; ++step) {
      testing::set_gradients(parameters, step);
      optimizer.clip_gradients(max_norm, 1, pool);
      optimizer.update(settings_of(step), pool);
    }
  }

  cpu::ThreadPool pool;
  FlatParameters parameters;
  FlatOptimizer optimizer;
};

inline void expect_same_bytes(std::span<const float> a, std::span<const float> b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0);
}

}  // namespace marrow::train
