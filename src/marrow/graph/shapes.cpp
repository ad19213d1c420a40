#include "marrow/graph/shapes.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"

namespace marrow {

Padding resolve_padding(const Padding& padding, int64_t n, int kernel, int stride, int dilation) {
  if (!padding.same) return padding;
  const int64_t extent = int64_t{dilation} * (kernel - 1) + 1;
  const int64_t total = std::max<int64_t>(((n + stride - 1) / stride - 1) * stride + extent - n, 0);
  return {static_cast<int>(total / 2), static_cast<int>(total - total / 2), false};
}

namespace {

class ShapeInference {
 public:
  ShapeInference(const Graph& graph, const Shape& input) : graph_(graph), input_(input) {}

  std::vector<Shape> run() {
    for (const Node& node : graph_.nodes) {
      node_ = &node;
      std::vector<const Shape*> in;
      for (const Value value : node.inputs) in.push_back(&shapes_[static_cast<size_t>(value.id)]);
      Shape shape = std::visit([&](const auto& operation) { return infer(operation, in); }, node.operation);
      for (const int64_t dim : shape)
        if (dim <= 0)
          fail(fmt::format("the output would be {}; the input {} is too small for this model",
                           to_string(shape), to_string(input_)));
      shapes_.push_back(std::move(shape));
    }
    return std::move(shapes_);
  }

 private:
  using Inputs = std::vector<const Shape*>;

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kShape,
                fmt::format("[{}]{}{}: {}", operation_name(node_->operation), node_->name.empty() ? "" : " ",
                            node_->name, message),
                {.node = node_->name});
  }

  const Shape& map(const Inputs& in) const {
    if (in[0]->size() != 4) fail("wants an (N, C, H, W) map, got " + to_string(*in[0]));
    return *in[0];
  }

  int64_t window(int64_t n, int kernel, int stride, int dilation, const Padding& rule) const {
    const Padding padding = resolve_padding(rule, n, kernel, stride, dilation);
    const int64_t room = n + padding.before + padding.after - (int64_t{dilation} * (kernel - 1) + 1);
    return room < 0 ? 0 : room / stride + 1;
  }

  Shape infer(const Input& op, const Inputs&) const {
    if (input_.size() != 4 || input_[1] != op.channels)
      fail(fmt::format("the model wants (N, {}, H, W), got {}", op.channels, to_string(input_)));
    return input_;
  }
  Shape infer(const Conv& op, const Inputs& in) const {
    const Shape& s = map(in);
    return {s[0], op.out_channels, window(s[2], op.kernel, op.stride, op.dilation, op.padding),
            window(s[3], op.kernel, op.stride, op.dilation, op.padding)};
  }
  Shape infer(const ConvTranspose& op, const Inputs& in) const {
    const Shape& s = map(in);
    const auto grow = [&](int64_t n) {
      return (n - 1) * op.stride + op.kernel - 2 * op.padding + op.output_padding;
    };
    return {s[0], op.out_channels, grow(s[2]), grow(s[3])};
  }
  Shape infer(const BatchNorm&, const Inputs& in) const { return *in[0]; }
  Shape infer(const Activation&, const Inputs& in) const { return *in[0]; }
  Shape infer(const Dropout&, const Inputs& in) const { return *in[0]; }
  Shape infer(const DropPath&, const Inputs& in) const { return *in[0]; }
  Shape infer(const Add&, const Inputs& in) const {
    if (*in[0] != *in[1])
      fail(fmt::format("the sides differ: {} and {}", to_string(*in[0]), to_string(*in[1])));
    return *in[0];
  }
  Shape infer(const Multiply&, const Inputs& in) const {
    const Shape& a = *in[0];
    const Shape& b = *in[1];
    const bool gate = a.size() == 4 && b == Shape{a[0], a[1], 1, 1};
    if (a != b && !gate) fail(fmt::format("the sides differ: {} and {}", to_string(a), to_string(b)));
    return a;
  }
  Shape infer(const Concat&, const Inputs& in) const {
    Shape total = map(in);
    for (size_t i = 1; i < in.size(); ++i) {
      const Shape& s = *in[i];
      if (s.size() != 4 || s[0] != total[0] || s[2] != total[2] || s[3] != total[3])
        fail(fmt::format("inputs 0 ({}) and {} ({}) differ in size: {} and {}",
                         graph_.node(node_->inputs[0]).name, i, graph_.node(node_->inputs[i]).name,
                         to_string(*in[0]), to_string(s)));
      total[1] += s[1];
    }
    return total;
  }
  Shape infer(const Slice& op, const Inputs& in) const {
    Shape s = map(in);
    s[1] = int64_t{op.groups} * (op.end - op.begin);
    return s;
  }
  Shape infer(const Scale&, const Inputs& in) const { return map(in); }
  Shape infer(const Attention& op, const Inputs& in) const {
    const Shape& s = map(in);
    if (s[2] * s[3] % op.areas != 0)
      fail(fmt::format(
          "{} x {} positions do not divide into {} areas; take an image size that is a multiple of more",
          s[2], s[3], op.areas));
    return {s[0], int64_t{op.heads} * op.value_channels, s[2], s[3]};
  }
  Shape infer(const ChannelShuffle&, const Inputs& in) const { return map(in); }
  Shape infer(const MaxPool& op, const Inputs& in) const {
    const Shape& s = map(in);
    const Padding padding = Padding::symmetric(op.padding);
    return {s[0], s[1], window(s[2], op.kernel, op.stride, 1, padding),
            window(s[3], op.kernel, op.stride, 1, padding)};
  }
  Shape infer(const AdaptiveMaxPool& op, const Inputs& in) const {
    const Shape& s = map(in);
    return {s[0], s[1], op.size, op.size};
  }
  Shape infer(const GlobalAveragePool&, const Inputs& in) const {
    const Shape& s = map(in);
    return {s[0], s[1], 1, 1};
  }
  Shape infer(const Upsample& op, const Inputs& in) const {
    const Shape& s = map(in);
    return {s[0], s[1], s[2] * op.factor, s[3] * op.factor};
  }
  Shape infer(const Flatten&, const Inputs& in) const {
    const Shape& s = map(in);
    return {s[0], s[1] * s[2] * s[3]};
  }
  Shape infer(const Linear& op, const Inputs& in) const {
    const Shape& s = *in[0];
    const Parameter* weight = graph_.find_parameter(op.weight);
    if (s.size() != 2 || weight == nullptr || s[1] != weight->shape.at(1))
      fail(fmt::format("wants (N, {}), got {}", weight == nullptr ? 0 : weight->shape.at(1), to_string(s)));
    return {s[0], op.out_features};
  }
  Shape infer(const DetectDecode& op, const Inputs& in) const {
    int64_t anchors = 0;
    for (size_t level = 0; level < op.levels(); ++level) {
      const Shape& s = *in[level];
      anchors += s.at(2) * s.at(3);
      if (op.extra == DetectExtra::kNone) continue;
      const Shape& extra = *in[op.levels() + level];
      if (extra.at(2) != s[2] || extra.at(3) != s[3])
        fail(fmt::format("level {} is {}, its {} are {}", level, to_string(s), extra_name(op.extra),
                         to_string(extra)));
    }
    return {in[0]->at(0), op.rows(), anchors};
  }

  const Graph& graph_;
  const Shape& input_;
  const Node* node_ = nullptr;
  std::vector<Shape> shapes_;
};

}  // namespace

std::vector<Shape> infer_shapes(const Graph& graph, const Shape& input) {
  return ShapeInference(graph, input).run();
}

std::vector<bool> reachable(const Graph& graph, std::span<const Value> targets,
                            std::span<const Value> given) {
  std::vector<bool> needed(graph.nodes.size(), false), known = needed;
  for (const Value target : targets) needed.at(static_cast<size_t>(target.id)) = true;
  for (const Value value : given) known.at(static_cast<size_t>(value.id)) = true;
  for (size_t i = graph.nodes.size(); i-- > 0;)
    if (needed[i] && !known[i])
      for (const Value input : graph.nodes[i].inputs) needed[static_cast<size_t>(input.id)] = true;
  return needed;
}

}  // namespace marrow
