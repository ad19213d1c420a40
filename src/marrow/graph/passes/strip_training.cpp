#include "marrow/graph/passes/strip_training.h"

namespace marrow::passes {
namespace {

bool matches(const Operation& operation) {
  const auto* dropout = std::get_if<Dropout>(&operation);
  return std::holds_alternative<DropPath>(operation) ||
         (dropout != nullptr && (!dropout->downscale_in_inference || dropout->rate == 0));
}

// The values from the linear layer's input back to a dropout that scales in inference, when each is read by
// the next
// one alone: the dropout, or the dropout and a flatten. Empty when there is none.
std::vector<Value> scaling_dropout_before(const GraphRewriter& rewrite, const Node& node) {
  const auto* linear = std::get_if<Linear>(&node.operation);
  if (linear == nullptr || !rewrite.is_private(linear->weight)) return {};
  std::vector<Value> path = {node.inputs[0]};
  if (rewrite.sole_producer<Flatten>(path.back()) != nullptr)
    path.push_back(rewrite.source().graph.node(path.back()).inputs[0]);
  const auto* dropout = rewrite.sole_producer<Dropout>(path.back());
  if (dropout == nullptr || !dropout->downscale_in_inference) return {};
  return path;
}

Tensor scaled(const Tensor& tensor, double factor) {
  Tensor result = tensor.clone();
  for (float& value : result.values()) value = static_cast<float>(value * factor);
  return result;
}

}  // namespace

GraphWithWeights strip_training(const GraphWithWeights& source) {
  GraphRewriter rewrite(source, "strip_training");
  for (const Value value : rewrite.values()) {
    const Node& node = source.graph.node(value);
    if (matches(node.operation)) {
      rewrite.bypass(value);
      continue;
    }
    if (const std::vector<Value> path = scaling_dropout_before(rewrite, node); !path.empty()) {
      const std::string& weight = std::get<Linear>(node.operation).weight;
      const double rate = std::get<Dropout>(source.graph.node(path.back()).operation).rate;
      rewrite.set_weight(weight, scaled(rewrite.weight(weight), 1 - rate));
      rewrite.bypass(path.back());
      if (path.size() > 1) rewrite.copy(path.front());
    }
    rewrite.copy(value);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow::passes
