#include "marrow/graph/passes/merge_linear.h"

#include <algorithm>
#include <optional>

#include "marrow/cpu/matrix_product.h"
#include "marrow/graph/passes/linear_layer.h"
#include "marrow/graph/passes/padding.h"

namespace marrow::passes {
namespace {

// A convolution; or a linear layer, as the 1x1 convolution that it is.
std::optional<Conv> as_conv(const Operation& operation) {
  if (const auto* conv = std::get_if<Conv>(&operation)) return *conv;
  if (const auto* linear = std::get_if<Linear>(&operation))
    return Conv{.out_channels = linear->out_features, .weight = linear->weight, .bias = linear->bias};
  return std::nullopt;
}

bool is_pointwise(const Conv& conv) {
  return conv.kernel == 1 && is_unpadded(conv);
}

bool is_zero(const Tensor& tensor) {
  return std::ranges::all_of(tensor.values(), [](float value) { return value == 0; });
}

struct Pair {
  Node first;  // of the new graph
  Conv a, b;   // the first and the second as convolutions
};

// Two layers of one kind, the first one read by the second alone.
std::optional<Pair> matches(const GraphRewriter& rewrite, const Node& second) {
  const auto b = as_conv(second.operation);
  if (!b || rewrite.uses(second.inputs[0]) != 1) return std::nullopt;
  const Node& first = rewrite.now(second.inputs[0]);
  const auto a = as_conv(first.operation);
  if (!a || first.operation.index() != second.operation.index()) return std::nullopt;
  return Pair{first, *a, *b};
}

// The largest map has the first one's size unless the second one's padding makes it grow.
bool map_may_grow(const Conv& conv) {
  return !conv.padding.same &&
         conv.padding.before + conv.padding.after > int64_t{conv.dilation} * (conv.kernel - 1);
}

// Why the pair stays a pair; empty when it can be merged.
std::string_view obstacle(const GraphRewriter& rewrite, const Pair& pair) {
  const auto& [first, a, b] = pair;
  if (a.groups != 1 || b.groups != 1) return "one of the two convolutions is grouped";
  for (const Conv* conv : {&a, &b})
    if (!has_private_parameters(rewrite, *linear_layer(*conv))) return "its weights are shared";
  const int64_t in = rewrite.weight(a.weight).dim(1), middle = a.out_channels, out = b.out_channels;
  if (is_pointwise(b)) {
    if (b.stride != 1 && a.padding.same) return "the first one's padding depends on its own stride";
    const int64_t area = int64_t{a.kernel} * a.kernel;
    return in * area * out > in * area * middle + middle * out ? "multiply-adds would rise" : "";
  }
  if (!is_pointwise(a) || a.stride != 1) return "neither convolution is 1x1";
  const int64_t area = int64_t{b.kernel} * b.kernel;
  if (in * area * out > middle * area * out + (map_may_grow(b) ? 0 : in * middle))
    return "multiply-adds would rise";
  if (!is_unpadded(b) && !a.bias.empty() && !is_zero(rewrite.weight(a.bias)))
    return "the first one's bias would reach into the second one's padding";
  return {};
}

// (out, middle, height, width) -> (out, height, width, middle), or back when the shape is given so.
Tensor move_axis(const Tensor& tensor, int64_t outer, int64_t from, int64_t to) {
  Tensor moved({outer, to, from});
  const float* src = tensor.values().data();
  float* dst = moved.values().data();
  for (int64_t o = 0; o < outer; ++o, src += from * to, dst += from * to)
    for (int64_t i = 0; i < from; ++i)
      for (int64_t j = 0; j < to; ++j) dst[j * from + i] = src[i * to + j];
  return moved;
}

Tensor merged_weight(const Conv& a, const Conv& b, const Tensor& wa, const Tensor& wb, int threads) {
  const int64_t in = wa.dim(1), middle = a.out_channels, out = b.out_channels;
  if (is_pointwise(b)) {
    Shape shape = wa.shape();
    shape[0] = out;
    return cpu::matrix_product(wb.reshape({out, middle}), wa.reshape({middle, wa.size() / middle}), threads)
        .reshape(shape);
  }
  const int64_t area = int64_t{b.kernel} * b.kernel;
  const Tensor rows = move_axis(wb, out, middle, area).reshape({out * area, middle});
  const Tensor product = cpu::matrix_product(rows, wa.reshape({middle, in}), threads);
  return move_axis(product, out, area, in).reshape({out, in, b.kernel, b.kernel});
}

// W2 b1 + b2, with W2 summed over its window.
Tensor merged_bias(const Tensor& wb, const Tensor& first, const Tensor& second) {
  const auto out = static_cast<size_t>(wb.dim(0)), middle = static_cast<size_t>(wb.dim(1));
  const size_t taps = wb.values().size() / (out * middle);
  Tensor bias(second.shape());
  const float* w = wb.values().data();
  for (size_t o = 0; o < out; ++o) {
    double sum = second.values()[o];
    for (size_t m = 0; m < middle; ++m)
      for (size_t tap = 0; tap < taps; ++tap) sum += double{first.values()[m]} * *w++;
    bias.values()[o] = static_cast<float>(sum);
  }
  return bias;
}

void apply(GraphRewriter& rewrite, Value value, const Pair& pair, int threads) {
  const auto& [first, a, b] = pair;
  const Tensor wa = rewrite.weight(a.weight), wb = rewrite.weight(b.weight);
  Node node = rewrite.source().graph.node(value);
  node.inputs = first.inputs;
  if (auto* conv = std::get_if<Conv>(&node.operation); conv != nullptr && is_pointwise(b)) {
    *conv = a;
    conv->out_channels = b.out_channels;
    conv->stride = a.stride * b.stride;
    conv->weight = b.weight;
    conv->bias = b.bias;
  }
  rewrite.set_weight(b.weight, merged_weight(a, b, wa, wb, threads));
  if (!a.bias.empty())
    node.operation = with_bias(
        rewrite, std::move(node.operation),
        merged_bias(wb, rewrite.weight(a.bias), bias_or_zeros(rewrite, *linear_layer(b), b.out_channels)));
  rewrite.replace(value, rewrite.append(std::move(node)));
}

}  // namespace

GraphWithWeights merge_linear(const GraphWithWeights& source, int threads) {
  GraphRewriter rewrite(source, "merge_linear");
  for (const Value value : rewrite.values()) {
    if (const auto pair = matches(rewrite, source.graph.node(value))) {
      const std::string_view why_not = obstacle(rewrite, *pair);
      if (why_not.empty()) {
        apply(rewrite, value, *pair, threads);
        continue;
      }
      rewrite.decline(value, why_not);
    }
    rewrite.copy(value);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow::passes
