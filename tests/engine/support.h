// Shared by the engine's tests: random inputs, and engine against reference executor.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/simd_level.h"
#include "graph/builder.h"
#include "reference/executor.h"

namespace marrow::test {

inline Tensor noise(const Shape& shape, uint64_t seed) {
  Tensor tensor(shape);
  Random random(seed, "noise");
  for (float& value : tensor.values()) value = static_cast<float>(random.normal());
  return tensor;
}

// A graph with one input of `channels` and the output "out" that `body` returns.
inline Graph graph_of(int channels, const std::function<Value(GraphBuilder&, Value)>& body) {
  GraphBuilder g;
  g.output("out", body(g, g.input(channels)));
  return std::move(g).build();
}

// Runs the graph's outputs at every SIMD level and compares with the reference executor.
inline void expect_matches_reference(const Graph& graph, const Shape& input_shape, double tolerance,
                                     int threads = 2) {
  const Weights weights = randomize(graph, 7);
  const Tensor input = noise(input_shape, 11);
  std::vector<Value> targets;
  for (const NamedValue& output : graph.outputs) targets.push_back(output.value);
  const std::vector<Tensor> wanted = run_reference(graph, weights, input, targets);
  for (const SimdLevel level : available_simd_levels()) {
    EngineOptions options;
    options.threads = threads;
    options.simd = simd_name(level);
    Engine engine(graph, weights, input_shape, {}, options);
    engine.run(input);
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(engine.output(i).shape(), wanted[i].shape());
      EXPECT_LE(relative_difference(engine.output(i), wanted[i]), tolerance)
          << simd_name(level) << ", output " << i << "\n"
          << engine.describe();
    }
  }
}

}  // namespace marrow::test
