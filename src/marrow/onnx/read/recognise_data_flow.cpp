// What moves data without weights: reshapes, slices, concatenations, shuffles, sums and products.
#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/onnx/read/recognise.h"
#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

using Values = std::vector<Value>;

// The groups of a channel shuffle that ends in the reshape `node`: (N, g * c, ...) -> (N, g, c, ...) ->
// (N, c, g, ...) -> back.
std::optional<std::pair<ValueId, int>> shuffle(const ShapedGraph& graph, const ShapedNode& node) {
  const ShapedNode* swap = graph.producer(node.input(0), "Transpose");
  const ShapedNode* group = swap == nullptr ? nullptr : graph.producer(swap->input(0), "Reshape");
  if (group == nullptr) return std::nullopt;
  const ValueId x = group->input(0);
  const Shape &whole = graph.shape(x), &grouped = graph.shape(group->outputs.at(0));
  std::vector<int64_t> order = swap->integers("perm");
  if (whole.size() != 4 || whole != graph.shape(node.outputs.at(0)) || grouped.size() < 4 || order.size() < 4)
    return std::nullopt;
  // Height and width may be one axis or two.
  const Shape plane(grouped.begin() + 3, grouped.end());
  const bool same_plane = plane == Shape{whole[2], whole[3]} || plane == Shape{whole[2] * whole[3]};
  std::swap(order[1], order[2]);
  const bool swaps = std::ranges::is_sorted(order) && order[0] == 0 && order[1] == 1;
  if (!swaps || !same_plane || grouped[0] != whole[0] || grouped[1] * grouped[2] != whole[1])
    return std::nullopt;
  return std::pair{x, static_cast<int>(grouped[1])};
}

std::optional<Plan> reshape(const ShapedGraph& graph, const ShapedNode& node, bool as_map) {
  const ValueId x = node.input(0);
  const Shape &from = graph.shape(x), &to = graph.shape(node.outputs.at(0));
  if (from == to) return pass_on({x, as_map});
  if (const auto found = shuffle(graph, node))
    return Plan{{{found->first}}, [groups = found->second](Building& b, const Values& in) {
                  return b.graph.channel_shuffle(in[0], groups);
                }};
  if (from.size() == 2 && to == Shape{from[0], from[1], 1, 1}) return pass_on({x, true});
  if (from.size() == 4 && to == Shape{from[0], from[1] * from[2] * from[3]}) {
    if (as_map && from[2] == 1 && from[3] == 1) return pass_on({x});
    if (!as_map) return Plan{{{x}}, [](Building& b, const Values& in) { return b.graph.flatten(in[0]); }};
  }
  fail_unsupported(fmt::format("a reshape from {} to {} is part of nothing that Marrow knows",
                               to_string(from), to_string(to)));
}

Plan slice_plan(const ShapedGraph& graph, ValueId x, size_t axis, int64_t begin, int64_t count) {
  const Shape& shape = graph.shape(x);
  if (shape.size() != 4 || axis != 1)
    fail_unsupported(
        fmt::format("a cut of {} along axis {}; channels of maps are cut", to_string(shape), axis));
  if (begin == 0 && count == shape[1]) return pass_on({x});
  return {{{x}}, [=](Building& b, const Values& in) {
            return b.graph.slice(in[0], static_cast<int>(begin), static_cast<int>(begin + count));
          }};
}

Plan split(const ShapedGraph& graph, const ShapedNode& node, size_t output) {
  const ValueId x = node.input(0);
  const size_t axis = checked_axis(node.integer("axis", 0), graph.shape(x).size());
  return slice_plan(graph, x, axis, graph.split_begin(node, axis, output),
                    graph.shape(node.outputs[output])[axis]);
}

Plan slice(const ShapedGraph& graph, const ShapedNode& node) {
  const ValueId x = node.input(0);
  const Shape& shape = graph.shape(x);
  const auto ranges = slice_ranges(node, shape, graph.constants(node));
  if (!ranges) fail_unsupported("its limits depend on data");
  std::optional<size_t> cut;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const SliceRange& range = (*ranges)[axis];
    if (range.begin == 0 && range.count == shape[axis] && range.step == 1) continue;
    if (cut || range.step != 1) fail_unsupported("cuts along several axes or with a step are not read");
    cut = axis;
  }
  if (!cut) return pass_on({x});
  return slice_plan(graph, x, *cut, (*ranges)[*cut].begin, (*ranges)[*cut].count);
}

Plan concat(const ShapedGraph& graph, const ShapedNode& node) {
  const Shape& shape = graph.shape(node.outputs.at(0));
  if (shape.size() != 4 || checked_axis(node.integer("axis", 0), 4) != 1)
    fail_unsupported(
        fmt::format("a concatenation to {}; channels of maps are concatenated", to_string(shape)));
  Plan plan{{}, [](Building& b, const Values& in) { return b.graph.concat(in); }};
  for (const ValueId input : node.inputs) plan.inputs.push_back({input});
  if (plan.inputs.size() == 1) return pass_on(plan.inputs[0]);
  return plan;
}

// factor * x + shift, each one number or one a channel: a depthwise 1x1 convolution.
Plan per_channel(const ShapedGraph& graph, ValueId x, const ShapedNode& node, const Tensor& factor,
                 const Tensor& shift) {
  const int64_t channels = graph.shape(x).at(1);
  const auto spread = [&](const Tensor& values) {
    Tensor result({channels});
    for (size_t c = 0; c < result.values().size(); ++c)
      result.values()[c] = values.values()[values.size() == 1 ? 0 : c];
    return result;
  };
  return {{{x}},
          [=, name = module_path(node), weight = spread(factor).reshape({channels, 1, 1, 1}),
           bias = spread(shift)](Building& b, const Values& in) {
            const std::string own = b.free_name(name.empty() ? "scale" : name);
            const auto count = static_cast<int>(channels);
            const Value value = b.graph.conv(in[0], own, {.out = count, .groups = count, .bias = true});
            b.weights[own + ".weight"] = weight;
            b.weights[own + ".bias"] = bias;
            return value;
          },
          true};
}

Tensor mapped(const Tensor& values, float (*function)(float)) {
  Tensor result(values.shape());
  std::ranges::transform(values.values(), result.values().begin(), function);
  return result;
}

std::optional<Plan> with_constant(const ShapedGraph& graph, const ShapedNode& node, bool as_map) {
  const bool constant_first = graph.constant(node.input(0)) != nullptr;
  const ValueId x = node.input(constant_first ? 1 : 0);
  const Tensor constant = graph.constant(node.input(constant_first ? 0 : 1))->to_float();
  const Shape& shape = graph.shape(x);
  if (graph.shape(node.outputs.at(0)) != shape) fail_unsupported("the constant changes the shape");
  // A factor below one in inference is how Paddle's dropout leaves training.
  if (node.is("Mul") && constant.size() == 1 && constant.values()[0] > 0 && constant.values()[0] < 1)
    return Plan{{{x, as_map}}, [rate = 1 - double{constant.values()[0]}](Building& b, const Values& in) {
                  return b.graph.dropout(in[0], rate, true);
                }};
  const Shape aligned = [&] {
    Shape full(4 - std::min<size_t>(constant.shape().size(), 4), 1);
    full.insert(full.end(), constant.shape().begin(), constant.shape().end());
    return full;
  }();
  const bool one_each = constant.size() == 1 || (shape.size() == 4 && aligned == Shape{1, shape[1], 1, 1});
  if (shape.size() != 4 || !one_each)
    fail_unsupported(fmt::format("a constant of {} with data of {}; one number, or one a channel, is read",
                                 to_string(constant.shape()), to_string(shape)));
  const Tensor one = Tensor::from({1}, std::vector<float>{1}), zero({1});
  const auto negative = [](float v) { return -v; };
  if (node.is("Mul")) return per_channel(graph, x, node, constant, zero);
  if (node.is("Add")) return per_channel(graph, x, node, one, constant);
  if (node.is("Sub"))
    return constant_first ? per_channel(graph, x, node, mapped(one, negative), constant)
                          : per_channel(graph, x, node, one, mapped(constant, negative));
  if (constant_first) return std::nullopt;
  return per_channel(graph, x, node, mapped(constant, [](float v) { return 1 / v; }), zero);
}

}  // namespace

std::optional<Plan> recognise_shape_change(const ShapedGraph& graph, const ShapedNode& node, size_t output,
                                           bool as_map) {
  const std::string& op = node.proto->op_type;
  if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze")
    return reshape(graph, node, as_map);
  if (as_map) return std::nullopt;
  if (op == "Split") return split(graph, node, output);
  if (op == "Slice") return slice(graph, node);
  if (op == "Concat") return concat(graph, node);
  return std::nullopt;
}

std::optional<Plan> recognise_arithmetic(const ShapedGraph& graph, const ShapedNode& node, bool as_map) {
  const bool known = node.is("Add") || node.is("Mul") || node.is("Sub") || node.is("Div");
  if (!known || node.inputs.size() != 2) return std::nullopt;
  if (graph.constant(node.inputs[0]) != nullptr || graph.constant(node.inputs[1]) != nullptr)
    return with_constant(graph, node, as_map);
  Wanted a{node.inputs[0], as_map}, b{node.inputs[1], as_map};
  const Shape &left = graph.shape(a.value), &right = graph.shape(b.value);
  if (node.is("Add") && left == right)
    return Plan{{a, b}, [](Building& g, const Values& in) { return g.graph.add(in[0], in[1]); }};
  if (!node.is("Mul")) return std::nullopt;
  const auto is_gate = [](const Shape& gate, const Shape& map) {
    return map.size() == 4 && gate == Shape{map[0], map[1], 1, 1};
  };
  if (left != right && is_gate(left, right))
    std::swap(a, b);
  else if (left != right && !is_gate(right, left))
    fail_unsupported(fmt::format("a product of {} and {}", to_string(left), to_string(right)));
  return Plan{{a, b}, [](Building& g, const Values& in) {
                // Of two maps of one pixel the gate is the one whose size no longer follows the image's.
                const bool gate_first = g.graph.stride(in[0]) == 0 && g.graph.stride(in[1]) != 0;
                return gate_first ? g.graph.multiply(in[1], in[0]) : g.graph.multiply(in[0], in[1]);
              }};
}

}  // namespace marrow::onnx
