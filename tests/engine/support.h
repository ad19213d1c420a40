// Shared by the engine's tests: engine against reference executor.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "marrow/cpu/simd_level.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/reference/executor.h"
#include "support/graphs.h"

namespace marrow::testing {

// Runs the graph's outputs at every SIMD level and compares with the reference executor.
inline void expect_matches_reference(const Graph& graph, const Shape& input_shape, double tolerance,
                                     int threads = 2) {
  const Weights weights = randomize(graph, 7);
  const Tensor input = noise(input_shape, 11);
  std::vector<Value> targets;
  for (const NamedValue& output : graph.outputs) targets.push_back(output.value);
  const std::vector<Tensor> wanted = reference::run_reference(graph, weights, input, targets);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    engine::EngineOptions options;
    options.threads = threads;
    options.simd = cpu::simd_name(level);
    engine::Engine engine(graph, weights, input_shape, {}, options);
    engine.run(input);
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(engine.output(i).shape(), wanted[i].shape());
      EXPECT_LE(relative_difference(engine.output(i), wanted[i]), tolerance)
          << cpu::simd_name(level) << ", output " << i << "\n"
          << engine.describe();
    }
  }
}

}  // namespace marrow::testing
