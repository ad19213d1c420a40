#include "marrow/graph/passes/linear_layer.h"

namespace marrow::passes {
namespace {

std::string bias_name_beside(const std::string& weight) {
  constexpr std::string_view kSuffix = "weight";
  return weight.ends_with(kSuffix) ? weight.substr(0, weight.size() - kSuffix.size()) + "bias"
                                   : weight + ".bias";
}

// `weight` with each slice along `axis` multiplied by its factor.
Tensor scale_slices(const Tensor& weight, size_t axis, std::span<const double> factors) {
  Tensor result(weight.shape());
  size_t inner = 1;
  for (size_t i = axis + 1; i < weight.shape().size(); ++i) inner *= static_cast<size_t>(weight.dim(i));
  const float* from = weight.values().data();
  float* to = result.values().data();
  const size_t rows = weight.values().size() / inner;
  for (size_t row = 0; row < rows; ++row, from += inner, to += inner) {
    const double factor = factors[row % factors.size()];
    for (size_t i = 0; i < inner; ++i) to[i] = static_cast<float>(from[i] * factor);
  }
  return result;
}

}  // namespace

std::optional<LinearLayer> linear_layer(const Operation& operation) {
  if (const auto* op = std::get_if<Conv>(&operation)) return LinearLayer{op->weight, op->bias, 0};
  if (const auto* op = std::get_if<ConvTranspose>(&operation)) return LinearLayer{op->weight, op->bias, 1};
  if (const auto* op = std::get_if<Linear>(&operation)) return LinearLayer{op->weight, op->bias, 0};
  return std::nullopt;
}

bool has_private_parameters(const GraphRewriter& rewrite, const LinearLayer& layer) {
  return rewrite.is_private(layer.weight) && (layer.bias.empty() || rewrite.is_private(layer.bias));
}

Tensor bias_or_zeros(const GraphRewriter& rewrite, const LinearLayer& layer, int channels) {
  return layer.bias.empty() ? Tensor({channels}) : rewrite.weight(layer.bias);
}

Operation with_bias(GraphRewriter& rewrite, Operation operation, Tensor bias) {
  const LinearLayer layer = *linear_layer(operation);
  if (!layer.bias.empty()) {
    rewrite.set_weight(layer.bias, std::move(bias));
    return operation;
  }
  const std::string name = rewrite.free_name(bias_name_beside(layer.weight));
  const Parameter declared = {name, bias.shape(), ParameterRole::kBias, {}};
  rewrite.add_parameter(declared, layer.weight, std::move(bias));
  std::visit(
      [&](auto& op) {
        if constexpr (requires { op.bias; }) op.bias = name;
      },
      operation);
  return operation;
}

Value append_scaled(GraphRewriter& rewrite, Node node, std::span<const double> scale,
                    std::span<const double> shift) {
  const LinearLayer layer = *linear_layer(node.operation);
  rewrite.set_weight(layer.weight, scale_slices(rewrite.weight(layer.weight), layer.out_axis, scale));
  const Tensor bias = bias_or_zeros(rewrite, layer, node.channels);
  Tensor folded({node.channels});
  for (size_t c = 0; c < scale.size(); ++c)
    folded.values()[c] = static_cast<float>(scale[c] * bias.values()[c] + shift[c]);
  node.operation = with_bias(rewrite, std::move(node.operation), std::move(folded));
  return rewrite.append(std::move(node));
}

}  // namespace marrow::passes
