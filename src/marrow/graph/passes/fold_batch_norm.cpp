#include "marrow/graph/passes/fold_batch_norm.h"

#include <algorithm>
#include <cmath>

#include "marrow/graph/passes/linear_layer.h"
#include "marrow/graph/passes/padding.h"

namespace marrow::passes {
namespace {

struct Affine {
  std::vector<double> scale, shift;  // one a channel
};

Affine affine_of(const GraphRewriter& rewrite, const BatchNorm& norm) {
  const Tensor gamma = rewrite.weight(norm.weight), beta = rewrite.weight(norm.bias);
  const Tensor mean = rewrite.weight(norm.running_mean), variance = rewrite.weight(norm.running_var);
  Affine affine;
  for (size_t c = 0; c < gamma.values().size(); ++c) {
    const double scale = gamma.values()[c] / std::sqrt(double{variance.values()[c]} + norm.eps);
    affine.scale.push_back(scale);
    affine.shift.push_back(beta.values()[c] - scale * mean.values()[c]);
  }
  return affine;
}

// The new graph's layer behind a value of the source that nothing else reads, if its parameters may change.
bool is_changeable_layer(const GraphRewriter& rewrite, Value value) {
  const auto layer = linear_layer(rewrite.now(value).operation);
  return layer && rewrite.uses(value) == 1 && has_private_parameters(rewrite, *layer);
}

bool fold_after_layer(GraphRewriter& rewrite, Value norm, const Affine& affine) {
  const Value before = rewrite.source().graph.node(norm).inputs[0];
  if (!is_changeable_layer(rewrite, before)) return false;
  rewrite.replace(norm, append_scaled(rewrite, rewrite.now(before), affine.scale, affine.shift));
  return true;
}

bool fold_after_concat(GraphRewriter& rewrite, Value norm, const Affine& affine) {
  const Value before = rewrite.source().graph.node(norm).inputs[0];
  Node concat = rewrite.now(before);
  if (!std::holds_alternative<Concat>(concat.operation) || rewrite.uses(before) != 1) return false;
  const std::vector<Value>& parts = rewrite.source().graph.node(before).inputs;
  const auto fits = [&](Value part) { return is_changeable_layer(rewrite, part); };
  if (!std::ranges::all_of(parts, fits)) return false;
  size_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Node layer = rewrite.now(parts[i]);
    const auto count = static_cast<size_t>(layer.channels);
    concat.inputs[i] = append_scaled(rewrite, layer, std::span(affine.scale).subspan(begin, count),
                                     std::span(affine.shift).subspan(begin, count));
    begin += count;
  }
  rewrite.replace(norm, rewrite.append(std::move(concat)));
  return true;
}

// Why the batch norm before `reader` cannot go into it; empty when it can.
std::string_view obstacle_before(const GraphRewriter& rewrite, const Node& reader, const Affine& affine) {
  if (!has_private_parameters(rewrite, *linear_layer(reader.operation)))
    return "the layer behind it shares its weights";
  const auto* conv = std::get_if<Conv>(&reader.operation);
  const bool shifts = std::ranges::any_of(affine.shift, [](double t) { return t != 0; });
  if (conv != nullptr && shifts && !is_unpadded(*conv))
    return "it shifts, and the convolution behind it pads with zeros that would not be shifted";
  return {};
}

// W s and W t + b of a convolution or linear layer: weight (out, in / groups, ...).
void fold_before_layer(GraphRewriter& rewrite, Value reader, const std::vector<Value>& path,
                       const Affine& affine) {
  rewrite.bypass(path.back());
  for (size_t i = path.size() - 1; i-- > 0;) rewrite.copy(path[i]);
  Node node = rewrite.source().graph.node(reader);
  for (Value& input : node.inputs) input = rewrite.mapped(input);
  const LinearLayer layer = *linear_layer(node.operation);
  Tensor weight = rewrite.weight(layer.weight).clone();
  const Tensor old_bias = bias_or_zeros(rewrite, layer, node.channels);
  const auto out = static_cast<size_t>(weight.dim(0)), in = static_cast<size_t>(weight.dim(1));
  const size_t taps = weight.values().size() / (out * in);
  const size_t out_of_group = out * in / affine.scale.size();
  Tensor bias({weight.dim(0)});
  float* w = weight.values().data();
  for (size_t o = 0; o < out; ++o) {
    double sum = old_bias.values()[o];
    for (size_t i = 0; i < in; ++i) {
      const size_t channel = o / out_of_group * in + i;
      for (size_t tap = 0; tap < taps; ++tap, ++w) {
        sum += affine.shift[channel] * *w;
        *w = static_cast<float>(affine.scale[channel] * *w);
      }
    }
    bias.values()[o] = static_cast<float>(sum);
  }
  rewrite.set_weight(layer.weight, std::move(weight));
  node.operation = with_bias(rewrite, std::move(node.operation), std::move(bias));
  rewrite.replace(reader, rewrite.append(std::move(node)));
}

// The values from the input of a convolution or linear layer back to a batch norm that no layer before it
// took, when each is read by the next one alone: the batch norm last. A global pool, and a flatten of what it
// yields, scale and shift as their input does. Empty when there is none.
std::vector<Value> norm_before(const GraphRewriter& rewrite, const Node& reader) {
  const auto is = [](const Operation& operation, auto... kind) {
    return (std::holds_alternative<decltype(kind)>(operation) || ...);
  };
  if (!is(reader.operation, Conv{}, Linear{})) return {};
  std::vector<Value> path;
  for (Value value = reader.inputs[0]; rewrite.uses(value) == 1;) {
    path.push_back(value);
    const Node& node = rewrite.source().graph.node(value);
    if (is(node.operation, BatchNorm{}))
      return is(rewrite.now(value).operation, BatchNorm{}) ? path : std::vector<Value>{};
    if (!is(node.operation, GlobalAveragePool{}, Flatten{})) return {};
    value = node.inputs[0];
  }
  return {};
}

}  // namespace

GraphWithWeights fold_batch_norm(const GraphWithWeights& source) {
  GraphRewriter rewrite(source, "fold_batch_norm");
  for (const Value value : rewrite.values()) {
    const Node& node = source.graph.node(value);
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation)) {
      const Affine affine = affine_of(rewrite, *norm);
      if (fold_after_layer(rewrite, value, affine) || fold_after_concat(rewrite, value, affine)) continue;
      rewrite.decline(value, "no layer before it is read by it alone and has weights of its own");
    } else if (const std::vector<Value> path = norm_before(rewrite, node); !path.empty()) {
      const Affine affine = affine_of(rewrite, std::get<BatchNorm>(source.graph.node(path.back()).operation));
      const std::string_view obstacle = obstacle_before(rewrite, node, affine);
      if (obstacle.empty()) {
        fold_before_layer(rewrite, value, path, affine);
        continue;
      }
      rewrite.decline(path.back(), obstacle);
    }
    rewrite.copy(value);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow::passes
