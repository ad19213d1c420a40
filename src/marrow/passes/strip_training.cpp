#include "passes/strip_training.h"

namespace marrow {
namespace {

bool matches(const Operation& operation) {
  const auto* dropout = std::get_if<Dropout>(&operation);
  return std::holds_alternative<DropPath>(operation) ||
         (dropout != nullptr && (!dropout->downscale_in_inference || dropout->rate == 0));
}

// The rate of a dropout that scales in inference and that the linear layer alone reads; 0 otherwise.
double scaling_rate_before(const GraphRewriter& rewrite, const Node& node) {
  const auto* linear = std::get_if<Linear>(&node.operation);
  if (linear == nullptr || !rewrite.is_private(linear->weight)) return 0;
  const auto* dropout = rewrite.sole_producer<Dropout>(node.inputs[0]);
  return dropout != nullptr && dropout->downscale_in_inference ? dropout->rate : 0;
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
      rewrite.replace(value, rewrite.mapped(node.inputs[0]));
      continue;
    }
    if (const double rate = scaling_rate_before(rewrite, node); rate > 0) {
      const auto& linear = std::get<Linear>(node.operation);
      const Value dropout = node.inputs[0];
      rewrite.replace(dropout, rewrite.mapped(source.graph.node(dropout).inputs[0]));
      rewrite.set_weight(linear.weight, scaled(rewrite.weight(linear.weight), 1 - rate));
    }
    rewrite.copy(value);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow
