#include "passes/fold_batch_norm.h"

#include <cmath>
#include <optional>

namespace marrow {
namespace {

// The layer's names in a form that the three kinds share.
struct LayerParameters {
  std::string weight, bias;
  size_t out_axis = 0;  // of the weight
};

std::optional<LayerParameters> layer_parameters(const Operation& operation) {
  if (const auto* op = std::get_if<Conv>(&operation)) return LayerParameters{op->weight, op->bias, 0};
  if (const auto* op = std::get_if<ConvTranspose>(&operation))
    return LayerParameters{op->weight, op->bias, 1};
  if (const auto* op = std::get_if<Linear>(&operation)) return LayerParameters{op->weight, op->bias, 0};
  return std::nullopt;
}

Operation with_bias(Operation operation, const std::string& bias) {
  std::visit(
      [&](auto& op) {
        if constexpr (requires { op.bias; }) op.bias = bias;
      },
      operation);
  return operation;
}

std::string bias_name_beside(const std::string& weight) {
  constexpr std::string_view kSuffix = "weight";
  return weight.ends_with(kSuffix) ? weight.substr(0, weight.size() - kSuffix.size()) + "bias"
                                   : weight + ".bias";
}

// `weight` with each slice along `axis` multiplied by its factor.
Tensor scale_slices(const Tensor& weight, size_t axis, std::span<const double> factors) {
  const Tensor source = weight.to_float();
  Tensor result(weight.shape());
  size_t inner = 1;
  for (size_t i = axis + 1; i < weight.shape().size(); ++i) inner *= static_cast<size_t>(weight.dim(i));
  const float* from = source.values().data();
  float* to = result.values().data();
  const size_t rows = source.values().size() / inner;
  for (size_t row = 0; row < rows; ++row, from += inner, to += inner) {
    const double factor = factors[row % factors.size()];
    for (size_t i = 0; i < inner; ++i) to[i] = static_cast<float>(from[i] * factor);
  }
  return result;
}

std::optional<LayerParameters> matches(const GraphRewriter& rewrite, const Node& node) {
  if (!std::holds_alternative<BatchNorm>(node.operation)) return std::nullopt;
  const Value before = node.inputs[0];
  if (rewrite.uses(before) != 1) return std::nullopt;
  const auto layer = layer_parameters(rewrite.source().graph.node(before).operation);
  if (!layer || rewrite.parameter_uses(layer->weight) != 1) return std::nullopt;
  if (!layer->bias.empty() && rewrite.parameter_uses(layer->bias) != 1) return std::nullopt;
  return layer;
}

// The layer is already in the new graph; it is appended again with the bias, and the old copy falls away.
void apply(GraphRewriter& rewrite, Value value, const LayerParameters& layer) {
  const Node& node = rewrite.source().graph.node(value);
  const auto& norm = std::get<BatchNorm>(node.operation);
  const Tensor gamma = rewrite.weight(norm.weight).to_float();
  const Tensor beta = rewrite.weight(norm.bias).to_float();
  const Tensor mean = rewrite.weight(norm.running_mean).to_float();
  const Tensor variance = rewrite.weight(norm.running_var).to_float();
  const Tensor bias = layer.bias.empty() ? Tensor(gamma.shape()) : rewrite.weight(layer.bias).to_float();

  const auto channels = static_cast<size_t>(node.channels);
  std::vector<double> scale(channels);
  Tensor folded_bias({node.channels});
  for (size_t c = 0; c < channels; ++c) {
    scale[c] = gamma.values()[c] / std::sqrt(double{variance.values()[c]} + norm.eps);
    folded_bias.values()[c] = static_cast<float>(
        scale[c] * (double{bias.values()[c]} - double{mean.values()[c]}) + double{beta.values()[c]});
  }
  rewrite.set_weight(layer.weight, scale_slices(rewrite.weight(layer.weight), layer.out_axis, scale));

  const Value before = node.inputs[0];
  if (layer.bias.empty()) {
    const std::string name = rewrite.free_name(bias_name_beside(layer.weight));
    rewrite.add_parameter({name, {node.channels}, ParameterRole::kBias, {}}, layer.weight,
                          std::move(folded_bias));
    rewrite.copy_as(before, with_bias(rewrite.source().graph.node(before).operation, name));
  } else {
    rewrite.set_weight(layer.bias, std::move(folded_bias));
  }
  rewrite.replace(value, rewrite.mapped(before));
}

}  // namespace

GraphWithWeights fold_batch_norm(const GraphWithWeights& source) {
  GraphRewriter rewrite(source);
  for (const Value value : rewrite.values()) {
    if (const auto layer = matches(rewrite, source.graph.node(value)))
      apply(rewrite, value, *layer);
    else
      rewrite.copy(value);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow
