#include "marrow/graph/print.h"

#include <fmt/format.h>

#include <utility>

namespace marrow {
namespace {

std::string kernel_text(int kernel, int stride) {
  return fmt::format(" {0}x{0}/{1}", kernel, stride);
}

std::string padding_text(const Padding& padding) {
  if (padding.same) return " padding same";
  if (padding.before != padding.after) return fmt::format(" padding {}+{}", padding.before, padding.after);
  return padding.before == 0 ? "" : fmt::format(" padding {}", padding.before);
}

const char* interpolation_text(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBilinear:
      return "bilinear";
    case Interpolation::kBicubic:
      return "bicubic";
    case Interpolation::kOpenCvBilinear:
      return "opencv bilinear";
  }
  return "";
}

// What an operation is apart from the parameters it reads.
struct Settings {
  std::string operator()(const Input& op) const {
    const InputFormat& f = op.format;
    return fmt::format(" {} channels {} scale {} mean {} std {} resize {} crop {} {}", op.channels,
                       f.order == ChannelOrder::kRgb ? "rgb" : "bgr", f.scale, fmt::join(f.mean, ","),
                       fmt::join(f.std, ","), f.resize, f.crop, interpolation_text(f.interpolation)) +
           (f.range ? fmt::format(" 16 bits from {} to {}", f.range->low, f.range->high) : "");
  }
  std::string operator()(const Conv& op) const {
    std::string text = kernel_text(op.kernel, op.stride) + padding_text(op.padding);
    if (op.groups > 1) text += fmt::format(" groups {}", op.groups);
    if (op.dilation > 1) text += fmt::format(" dilation {}", op.dilation);
    return text + fmt::format(" -> {}", op.out_channels);
  }
  std::string operator()(const ConvTranspose& op) const {
    return kernel_text(op.kernel, op.stride) + padding_text(Padding::symmetric(op.padding)) +
           (op.output_padding > 0 ? fmt::format(" output padding {}", op.output_padding) : "") +
           fmt::format(" -> {}", op.out_channels);
  }
  std::string operator()(const BatchNorm& op) const {
    return fmt::format(" eps {} momentum {}", op.eps, op.momentum);
  }
  std::string operator()(const Activation& op) const {
    if (!op.slope_name.empty()) return " slope by name";
    const bool sloped = op.kind == ActivationKind::kLeakyRelu || op.kind == ActivationKind::kElu;
    return sloped ? fmt::format(" slope {}", op.slope) : "";
  }
  std::string operator()(const Slice& op) const {
    return fmt::format(" {}..{}", op.begin, op.end) +
           (op.groups > 1 ? fmt::format(" groups {}", op.groups) : "");
  }
  std::string operator()(const ChannelShuffle& op) const { return fmt::format(" groups {}", op.groups); }
  std::string operator()(const MaxPool& op) const {
    return kernel_text(op.kernel, op.stride) + padding_text(Padding::symmetric(op.padding));
  }
  std::string operator()(const AdaptiveMaxPool& op) const { return fmt::format(" to {0}x{0}", op.size); }
  std::string operator()(const Upsample& op) const { return fmt::format(" by {}", op.factor); }
  std::string operator()(const Linear& op) const { return fmt::format(" -> {}", op.out_features); }
  std::string operator()(const Dropout& op) const {
    return fmt::format(" rate {}{}", op.rate, op.downscale_in_inference ? " downscale in inference" : "");
  }
  std::string operator()(const DropPath& op) const { return fmt::format(" rate {}", op.rate); }
  std::string operator()(const DetectDecode& op) const {
    return fmt::format(" {} classes reg_max {} strides {}", op.classes, op.reg_max,
                       fmt::join(op.strides, ",")) +
           (op.extra == DetectExtra::kNone && op.extra_channels == 0
                ? ""
                : fmt::format(" {} {}", op.extra_channels, extra_name(op.extra)));
  }
  std::string operator()(const Attention& op) const {
    return fmt::format(" heads {} keys {} values {}", op.heads, op.key_channels, op.value_channels) +
           (op.areas > 1 ? fmt::format(" areas {}", op.areas) : "");
  }
  std::string operator()(const Scale&) const { return ""; }
  std::string operator()(const Add&) const { return ""; }
  std::string operator()(const Multiply&) const { return ""; }
  std::string operator()(const Concat&) const { return ""; }
  std::string operator()(const GlobalAveragePool&) const { return ""; }
  std::string operator()(const Flatten&) const { return ""; }
};

using Names = std::vector<std::pair<const char*, const std::string*>>;

// The parameters that an operation reads, by what they are to it.
struct Reads {
  Names operator()(const Conv& op) const { return {{"weight", &op.weight}, {"bias", &op.bias}}; }
  Names operator()(const ConvTranspose& op) const { return {{"weight", &op.weight}, {"bias", &op.bias}}; }
  Names operator()(const Linear& op) const { return {{"weight", &op.weight}, {"bias", &op.bias}}; }
  Names operator()(const BatchNorm& op) const {
    return {{"weight", &op.weight},
            {"bias", &op.bias},
            {"mean", &op.running_mean},
            {"var", &op.running_var},
            {"counter", &op.num_batches_tracked}};
  }
  Names operator()(const Activation& op) const { return {{"slope", &op.slope_name}}; }
  Names operator()(const Scale& op) const { return {{"weight", &op.weight}}; }
  Names operator()(const DetectDecode& op) const { return {{"bins", &op.bins}}; }
  template <class Operation>
  Names operator()(const Operation&) const {
    return {};
  }
};

std::vector<std::string> parameter_lines(const Graph& graph, const Operation& operation) {
  std::vector<std::string> lines;
  for (const auto& [what, name] : std::visit(Reads(), operation)) {
    if (name->empty()) continue;
    const Parameter* parameter = graph.find_parameter(*name);
    lines.push_back(
        fmt::format("{} {}{}", what, *name, parameter == nullptr ? "" : " " + to_string(parameter->shape)));
  }
  return lines;
}

std::string operation_text(const Node& node) {
  return std::string(operation_name(node.operation)) + std::visit(Settings(), node.operation);
}

std::string bytes_text(const Node& node) {
  std::string text;
  if (node.byte_scale)
    text = fmt::format("bytes {} zero {}", node.byte_scale->scale, node.byte_scale->zero_point);
  if (node.int8) text += text.empty() ? "int8" : ", int8";
  return text;
}

// In double quotes.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "\"";
}

}  // namespace

std::string to_string(const Graph& graph) {
  return to_string(graph, {});
}

std::string to_string(const Graph& graph, std::span<const Shape> shapes) {
  std::string text;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    text += fmt::format("%{:<4} {}", i, operation_text(node));
    std::vector<int> inputs;
    for (const Value input : node.inputs) inputs.push_back(input.id);
    if (!inputs.empty()) text += fmt::format("   <- %{}", fmt::join(inputs, " %"));
    text += fmt::format("   {} channels, stride {}", node.channels, node.stride);
    if (const std::string bytes = bytes_text(node); !bytes.empty()) text += "   " + bytes;
    if (!node.name.empty()) text += "   " + node.name;
    if (i < shapes.size()) text += "   " + to_string(shapes[i]);
    text += '\n';
    for (const std::string& line : parameter_lines(graph, node.operation)) text += "        " + line + '\n';
  }
  for (const NamedValue& output : graph.outputs)
    text += fmt::format("output {} = %{}\n", output.name, output.value.id);
  for (const NamedValue& tap : graph.taps) text += fmt::format("tap {} = %{}\n", tap.name, tap.value.id);
  return text;
}

std::string to_dot(const Graph& graph, std::span<const Shape> shapes) {
  std::string text = "digraph network {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10]\n";
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    std::vector<std::string> lines = {operation_text(node)};
    if (!node.name.empty()) lines.push_back(node.name);
    lines.push_back(fmt::format("{} channels, stride {}", node.channels, node.stride));
    if (const std::string bytes = bytes_text(node); !bytes.empty()) lines.push_back(bytes);
    for (std::string& line : parameter_lines(graph, node.operation)) lines.push_back(std::move(line));
    std::string label;
    for (const std::string& line : lines) {
      const std::string escaped = quoted(line);
      label += (label.empty() ? "" : "\\n") + escaped.substr(1, escaped.size() - 2);
    }
    text += fmt::format("  n{} [label=\"{}\"]\n", i, label);
    for (const Value input : node.inputs)
      text += fmt::format("  n{} -> n{}{}\n", input.id, i,
                          static_cast<size_t>(input.id) < shapes.size()
                              ? " [label=" + quoted(to_string(shapes[static_cast<size_t>(input.id)])) + "]"
                              : "");
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const NamedValue& output = graph.outputs[i];
    const auto at = static_cast<size_t>(output.value.id);
    text += fmt::format("  out{} [shape=oval, label={}]\n  n{} -> out{}{}\n", i, quoted(output.name), at, i,
                        at < shapes.size() ? " [label=" + quoted(to_string(shapes[at])) + "]" : "");
  }
  return text + "}\n";
}

}  // namespace marrow
