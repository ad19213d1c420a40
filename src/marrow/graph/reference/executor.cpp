#include "marrow/graph/reference/executor.h"

#include <numeric>

#include "marrow/graph/reference/forward.h"

namespace marrow::reference {
std::vector<Tensor> run_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                                  std::span<const Value> targets) {
  return Forward<float>(graph, weights, input, {}).run(targets);
}

Tensor run_reference(const Graph& graph, const Weights& weights, const Tensor& input,
                     std::string_view target) {
  const Value value = graph.find(target);
  return run_reference(graph, weights, input, std::span(&value, 1)).front();
}

Weights measure_batch_statistics(const Graph& graph, const Weights& weights, const Tensor& input) {
  Graph forgetful = graph;
  for (Node& node : forgetful.nodes)
    if (auto* norm = std::get_if<BatchNorm>(&node.operation)) norm->momentum = 1;
  std::vector<Value> targets;
  for (const NamedValue& output : graph.outputs) targets.push_back(output.value);
  Weights measured = weights;
  for (auto& [name, tensor] :
       run_reference_with_batch_statistics(forgetful, weights, input, targets).statistics)
    measured[name] = tensor;
  for (const Node& node : graph.nodes)
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) {
      const auto variances = measured.at(norm->running_var).values();
      const double mean =
          std::accumulate(variances.begin(), variances.end(), 0.0) / static_cast<double>(variances.size());
      for (float& variance : variances) variance = static_cast<float>((variance + mean) / 2);
    }
  return measured;
}

BatchStatisticsResult run_reference_with_batch_statistics(const Graph& graph, const Weights& weights,
                                                          const Tensor& input,
                                                          std::span<const Value> targets) {
  Forward<float> forward(graph, weights, input, {.batch_statistics = true});
  BatchStatisticsResult result;
  result.values = forward.run(targets);
  result.statistics = forward.take_statistics();
  return result;
}

}  // namespace marrow::reference
