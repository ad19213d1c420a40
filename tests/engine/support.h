// Shared by the engine's tests: engine against reference executor.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
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

// On any number of threads the same bits as on one.
inline void expect_same_on_threads(const Graph& graph, const Shape& input_shape,
                                   std::initializer_list<int> counts) {
  const Weights weights = randomize(graph, 1);
  const Tensor input = noise(input_shape, 2);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    engine::EngineOptions options;
    options.simd = cpu::simd_name(level);
    options.threads = 1;
    engine::Engine one(graph, weights, input_shape, {}, options);
    one.run(input);
    for (const int threads : counts) {
      options.threads = threads;
      engine::Engine many(graph, weights, input_shape, {}, options);
      many.run(input);
      for (size_t i = 0; i < one.output_count(); ++i)
        EXPECT_TRUE(std::ranges::equal(one.output(i).values(), many.output(i).values()))
            << cpu::simd_name(level) << ", " << threads << " threads, output " << i;
    }
  }
}

// Whether a step of the compiled graph calls itself so.
inline bool runs(const std::string& kernel, const Graph& graph, const Shape& input_shape,
                 const engine::EngineOptions& options = {}) {
  const engine::Engine engine(graph, randomize(graph, 1), input_shape, {}, options);
  return engine.describe().find(kernel) != std::string::npos;
}

// Two convolutions of one blocked map (the network's own input would stay planar): outputs "plain", and
// "joined" with all that may follow the sums.
inline Graph plain_and_joined(int in, const ConvOptions& conv) {
  GraphBuilder g;
  Value x = g.input(in);
  x = g.add(x, x);
  const Value plain = g.conv(x, "plain", conv);
  g.output("plain", plain);
  const Value joined = g.activation(g.conv(x, "joined", conv), ActivationKind::kSilu);
  g.output("joined", g.activation(g.add(joined, plain), ActivationKind::kRelu));
  return std::move(g).build();
}

}  // namespace marrow::testing
