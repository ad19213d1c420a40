#include "marrow/onnx/read/data_moves.h"

#include <numeric>

#include "marrow/base/tensor.h"
#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

constexpr int64_t kMostNumbers = int64_t{1} << 24;
constexpr int kMostSteps = 64;

using Origin = std::vector<int64_t>;

std::vector<int64_t> row_major_steps(const Shape& shape) {
  std::vector<int64_t> steps(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) steps[axis - 1] = steps[axis] * shape[axis];
  return steps;
}

// Number i of a value of `shape` is number first + sum of its place along each axis times that axis's step.
Origin walk(const Shape& shape, const std::vector<int64_t>& steps, int64_t first) {
  Origin origin;
  origin.reserve(static_cast<size_t>(element_count(shape)));
  std::vector<int64_t> place(shape.size(), 0);
  int64_t at = first;
  for (int64_t i = element_count(shape); i > 0; --i) {
    origin.push_back(at);
    for (size_t axis = shape.size(); axis-- > 0;) {
      at += steps[axis];
      if (++place[axis] < shape[axis]) break;
      at -= shape[axis] * steps[axis];
      place[axis] = 0;
    }
  }
  return origin;
}

bool keeps_order(const ShapedNode& node) {
  return node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze");
}

// What one node does to its first input: the origin of each of its numbers there; nothing where it does
// something else.
std::optional<Origin> moved_by(const ShapedGraph& graph, const ShapedNode& node, ValueId value) {
  const Shape &from = graph.shape(node.input(0)), &to = graph.shape(value);
  const std::vector<int64_t> steps = row_major_steps(from);
  if (node.is("Transpose")) {
    std::vector<int64_t> order = node.integers("perm"), moved;
    if (order.empty())
      for (size_t i = from.size(); i-- > 0;) order.push_back(static_cast<int64_t>(i));
    for (const int64_t axis : order) moved.push_back(steps[checked_axis(axis, from.size())]);
    return walk(to, moved, 0);
  }
  if (node.is("Split")) {
    const size_t axis = checked_axis(node.integer("axis", 0), from.size());
    return walk(to, steps, graph.split_begin(node, axis, graph.value(value).output) * steps[axis]);
  }
  if (node.is("Slice")) {
    const auto ranges = slice_ranges(node, from, graph.constants(node));
    if (!ranges) return std::nullopt;
    std::vector<int64_t> moved;
    int64_t first = 0;
    for (size_t axis = 0; axis < from.size(); ++axis) {
      moved.push_back(steps[axis] * (*ranges)[axis].step);
      first += steps[axis] * (*ranges)[axis].begin;
    }
    return walk(to, moved, first);
  }
  return std::nullopt;
}

// The data input of a product or quotient with one number, and that factor.
std::optional<std::pair<ValueId, double>> scaled_by(const ShapedGraph& graph, const ShapedNode& node,
                                                    ValueId value) {
  if (!(node.is("Mul") || node.is("Div")) || node.inputs.size() != 2) return std::nullopt;
  for (const size_t data : {0, 1}) {
    const auto number = graph.scalar(node.inputs[1 - data]);
    if (!number || (node.is("Div") && (data == 1 || *number == 0))) continue;
    if (graph.shape(node.inputs[data]) != graph.shape(value)) continue;
    return std::pair{node.inputs[data], node.is("Div") ? 1 / *number : *number};
  }
  return std::nullopt;
}

}  // namespace

std::optional<MovedData> follow_moves(const ShapedGraph& graph, ValueId value) {
  if (value.id < 0 || !graph.value(value).shape || element_count(graph.shape(value)) > kMostNumbers)
    return std::nullopt;
  MovedData data{value, Origin(static_cast<size_t>(element_count(graph.shape(value)))), 1};
  std::iota(data.origin.begin(), data.origin.end(), int64_t{0});
  for (int step = 0; step < kMostSteps; ++step) {
    const ShapedNode* node = graph.producer(data.source);
    if (node == nullptr || node->inputs.empty() || node->input(0).id < 0 ||
        !graph.value(node->input(0)).shape)
      break;
    if (const auto scaled = scaled_by(graph, *node, data.source)) {
      data.source = scaled->first;
      data.factor *= scaled->second;
      continue;
    }
    if (keeps_order(*node)) {
      data.source = node->input(0);
      continue;
    }
    if (element_count(graph.shape(node->input(0))) > kMostNumbers) break;
    const auto origin = moved_by(graph, *node, data.source);
    if (!origin) break;
    for (int64_t& at : data.origin) at = (*origin)[static_cast<size_t>(at)];
    data.source = node->input(0);
  }
  return data;
}

}  // namespace marrow::onnx
