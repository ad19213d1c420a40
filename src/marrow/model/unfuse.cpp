#include "marrow/model/unfuse.h"

#include <algorithm>
#include <string_view>

namespace marrow::model {

Weights unfuse(const Graph& graph, const Weights& state) {
  Weights unfused = state;
  for (const Node& node : graph.nodes) {
    const auto* norm = std::get_if<BatchNorm>(&node.operation);
    if (norm == nullptr || state.contains(norm->weight)) continue;
    const auto* conv = std::get_if<Conv>(&graph.node(node.inputs[0]).operation);
    if (conv == nullptr || !conv->bias.empty()) continue;
    constexpr std::string_view kLeaf = "weight";
    const std::string bias = conv->weight.substr(0, conv->weight.size() - kLeaf.size()) + "bias";
    const auto found = unfused.find(bias);
    if (found == unfused.end()) continue;
    const auto filled = [&](double value) {
      Tensor tensor(found->second.shape());
      std::ranges::fill(tensor.values(), static_cast<float>(value));
      return tensor;
    };
    unfused[norm->weight] = filled(1);
    unfused[norm->running_mean] = filled(0);
    unfused[norm->running_var] = filled(1 - norm->eps);
    unfused[norm->bias] = found->second;
    unfused.erase(found);
  }
  return unfused;
}

}  // namespace marrow::model
