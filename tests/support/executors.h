// Every way Marrow has to run a graph: what holds on one must hold on all.
#pragma once

#include <string>
#include <vector>

#include "marrow/cpu/simd_level.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/reference/executor.h"

namespace marrow::testing {

struct ExecutorRun {
  std::string executor;        // "reference", "engine (avx2)"
  std::vector<Tensor> values;  // one a name
};

// The values of outputs or taps by name, on the reference executor and on the engine at every SIMD level of
// this CPU. The engine deploys the network first.
inline std::vector<ExecutorRun> run_everywhere(const Graph& graph, const Weights& weights,
                                               const Tensor& input, const std::vector<std::string>& names) {
  std::vector<Value> targets;
  for (const std::string& name : names) targets.push_back(graph.find(name));
  std::vector<ExecutorRun> runs = {{"reference", reference::run_reference(graph, weights, input, targets)}};
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    const std::string simd(cpu::simd_name(level));
    engine::Engine engine(graph, weights, input.shape(), names, {.simd = simd});
    engine.run(input);
    ExecutorRun run{"engine (" + simd + ")", {}};
    for (size_t i = 0; i < names.size(); ++i) run.values.push_back(engine.output(i).clone());
    runs.push_back(std::move(run));
  }
  return runs;
}

// As above, and of the deployed network on the reference executor, and of the network as it was trained on
// the engine.
inline std::vector<ExecutorRun> run_in_every_form(const Graph& graph, const Weights& weights,
                                                  const Tensor& input,
                                                  const std::vector<std::string>& names) {
  std::vector<ExecutorRun> runs = run_everywhere(graph, weights, input, names);
  const passes::GraphWithWeights deployed = passes::deploy(passes::select_outputs({graph, weights}, names));
  std::vector<Value> targets;
  for (const std::string& name : names) targets.push_back(deployed.graph.find(name));
  runs.push_back(
      {"reference, deployed", reference::run_reference(deployed.graph, deployed.weights, input, targets)});
  engine::Engine engine(graph, weights, input.shape(), names, {.deploy = false});
  engine.run(input);
  ExecutorRun raw{"engine, as trained", {}};
  for (size_t i = 0; i < names.size(); ++i) raw.values.push_back(engine.output(i).clone());
  runs.push_back(std::move(raw));
  return runs;
}

}  // namespace marrow::testing
