#include "passes/strip_training.h"

namespace marrow {
namespace {

bool is_identity(const Operation& operation, const Weights& weights) {
  if (const auto* dropout = std::get_if<Dropout>(&operation))
    return !dropout->downscale_in_inference || dropout->rate == 0;
  if (std::holds_alternative<DropPath>(operation)) return true;
  const auto* activation = std::get_if<Activation>(&operation);
  if (activation == nullptr) return false;
  if (activation->kind == ActivationKind::kIdentity) return true;
  if (activation->kind != ActivationKind::kLeakyRelu) return false;
  if (const auto slope = weights.find(activation->slope_name); slope != weights.end())
    return slope->second.to_float().values()[0] == 1.f;
  return activation->slope == 1;
}

// The rate of a dropout that scales in inference and that the linear layer alone reads; 0 otherwise.
double scaling_rate_before(const GraphRewriter& rewrite, const Node& node) {
  const auto* linear = std::get_if<Linear>(&node.operation);
  if (linear == nullptr || rewrite.parameter_uses(linear->weight) != 1) return 0;
  const auto* dropout = rewrite.sole_producer<Dropout>(node.inputs[0]);
  return dropout != nullptr && dropout->downscale_in_inference ? dropout->rate : 0;
}

Tensor scaled(const Tensor& tensor, double factor) {
  Tensor result = tensor.to_float().clone();
  for (float& value : result.values()) value = static_cast<float>(value * factor);
  return result;
}

}  // namespace

GraphWithWeights strip_training(const GraphWithWeights& source) {
  GraphRewriter rewrite(source);
  for (const Value value : rewrite.values()) {
    const Node& node = source.graph.node(value);
    if (is_identity(node.operation, source.weights)) {
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
