#include "marrow/graph/passes/merge_sums.h"

#include <optional>
#include <utility>

#include "marrow/graph/passes/linear_layer.h"

namespace marrow::passes {
namespace {

// What keeps `small` from being added into `large`, or nothing.
std::string_view obstacle_to_sum(const GraphRewriter& rewrite, const Conv& large, const Conv& small) {
  if (large.stride != small.stride || large.groups != small.groups) return "strides or groups differ";
  if (large.dilation != 1 || small.dilation != 1) return "a dilated convolution";
  const Padding &outer = large.padding, &inner = small.padding;
  if (outer.same || inner.same) return "a padding that follows the size";
  const int offset = outer.before - inner.before;
  if (offset < 0 || offset + small.kernel > large.kernel) return "neither kernel lies within the other";
  if (outer.before + outer.after - large.kernel != inner.before + inner.after - small.kernel)
    return "sizes differ";
  for (const Conv* conv : {&large, &small})
    if (!has_private_parameters(rewrite, *linear_layer(*conv))) return "its parameters are shared";
  return {};
}

// `large` plus `small`, whose first tap is tap (offset, offset) of large.
Tensor summed_kernels(const Tensor& large, const Tensor& small, int64_t offset) {
  Tensor result = large.clone();
  const int64_t outer = large.dim(2), inner = small.dim(2), filters = large.dim(0) * large.dim(1);
  for (int64_t filter = 0; filter < filters; ++filter)
    for (int64_t y = 0; y < inner; ++y)
      for (int64_t x = 0; x < inner; ++x) {
        float& tap = result.values()[(filter * outer + y + offset) * outer + x + offset];
        tap = static_cast<float>(double{tap} + double{small.values()[(filter * inner + y) * inner + x]});
      }
  return result;
}

// Two convolutions whose sum `value` is, the larger first, as nodes of the new graph.
std::optional<std::pair<Node, Node>> summands(const GraphRewriter& rewrite, Value value) {
  const Node& sum = rewrite.source().graph.node(value);
  if (!std::holds_alternative<Add>(sum.operation)) return std::nullopt;
  for (const Value input : sum.inputs)
    if (rewrite.uses(input) != 1 || !std::holds_alternative<Conv>(rewrite.now(input).operation))
      return std::nullopt;
  Node first = rewrite.now(sum.inputs[0]), second = rewrite.now(sum.inputs[1]);
  if (first.inputs != second.inputs) return std::nullopt;
  if (std::get<Conv>(first.operation).kernel < std::get<Conv>(second.operation).kernel)
    std::swap(first, second);
  const std::string_view why_not =
      obstacle_to_sum(rewrite, std::get<Conv>(first.operation), std::get<Conv>(second.operation));
  if (!why_not.empty()) {
    rewrite.decline(value, why_not);
    return std::nullopt;
  }
  return std::pair{std::move(first), std::move(second)};
}

}  // namespace

GraphWithWeights merge_sums(const GraphWithWeights& source) {
  GraphRewriter rewrite(source, "merge_sums");
  for (const Value value : rewrite.values()) {
    auto pair = summands(rewrite, value);
    if (!pair) {
      rewrite.copy(value);
      continue;
    }
    auto& [large, small] = *pair;
    const auto &outer = std::get<Conv>(large.operation), &inner = std::get<Conv>(small.operation);
    const LinearLayer into = *linear_layer(outer), from = *linear_layer(inner);
    rewrite.set_weight(into.weight, summed_kernels(rewrite.weight(into.weight), rewrite.weight(from.weight),
                                                   outer.padding.before - inner.padding.before));
    if (!into.bias.empty() || !from.bias.empty()) {
      Tensor bias = bias_or_zeros(rewrite, into, large.channels).clone();
      const Tensor other = bias_or_zeros(rewrite, from, large.channels);
      for (size_t c = 0; c < bias.values().size(); ++c)
        bias.values()[c] = static_cast<float>(double{bias.values()[c]} + double{other.values()[c]});
      large.operation = with_bias(rewrite, large.operation, bias);
    }
    rewrite.replace(value, rewrite.append(std::move(large)));
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow::passes
