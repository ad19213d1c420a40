#include "marrow/onnx/write/export_operations.h"

#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/graph/shapes.h"
#include "marrow/onnx/file/half.h"
#include "marrow/onnx/write/export_int8.h"

namespace marrow::onnx {

std::string Exporting::parameter(const std::string& name) {
  if (const auto written = parameters.find(name); written != parameters.end()) return written->second;
  const Tensor value = source.weights.at(name).to_float();
  return parameters[name] = out.initializer(name, options.half ? to_half(value, name) : value);
}

namespace {

using Ints = std::vector<int64_t>;

class OperationExporter {
 public:
  OperationExporter(Exporting& e, const Node& node) : e_(e), out_(e.out), node_(node) {
    for (const Value input : node.inputs) inputs_.push_back(e.name(input));
  }

  std::string operator()(const Input&) { return kInputName; }

  std::string operator()(const Conv& op) {
    std::vector<Attribute> attributes = {attribute("dilations", Ints{op.dilation, op.dilation}),
                                         attribute("group", int64_t{op.groups}),
                                         attribute("kernel_shape", Ints{op.kernel, op.kernel}),
                                         attribute("strides", Ints{op.stride, op.stride})};
    if (op.padding.same && e_.options.dynamic) {
      attributes.push_back(attribute("auto_pad", "SAME_UPPER"));
    } else {
      const Shape& in = e_.shape(node_.inputs[0]);
      const Padding rows = resolve_padding(op.padding, in[2], op.kernel, op.stride, op.dilation);
      const Padding columns = resolve_padding(op.padding, in[3], op.kernel, op.stride, op.dilation);
      attributes.push_back(attribute("pads", Ints{rows.before, columns.before, rows.after, columns.after}));
    }
    return out_.node(
        "Conv", exported_as_int8(e_, node_) ? int8_inputs(e_, node_) : with_parameters({op.weight, op.bias}),
        std::move(attributes));
  }

  std::string operator()(const ConvTranspose& op) {
    return out_.node("ConvTranspose", with_parameters({op.weight, op.bias}),
                     {attribute("kernel_shape", Ints{op.kernel, op.kernel}),
                      attribute("strides", Ints{op.stride, op.stride}),
                      attribute("pads", Ints{op.padding, op.padding, op.padding, op.padding}),
                      attribute("output_padding", Ints{op.output_padding, op.output_padding})});
  }

  std::string operator()(const BatchNorm& op) {
    return out_.node("BatchNormalization",
                     with_parameters({op.weight, op.bias, op.running_mean, op.running_var}),
                     {attribute("epsilon", op.eps)});
  }

  std::string operator()(const Linear& op) {
    return out_.node("Gemm", with_parameters({op.weight, op.bias}), {attribute("transB", int64_t{1})});
  }

  std::string operator()(const Activation& op) {
    const std::string& x = inputs_[0];
    switch (op.kind) {
      case ActivationKind::kIdentity:
        return x;
      case ActivationKind::kRelu:
        return out_.node("Relu", {x});
      case ActivationKind::kRelu6:
        return out_.node("Mul", {hard_sigmoid(x, 0), out_.number(6)});
      case ActivationKind::kLeakyRelu:
        return out_.node("LeakyRelu", {x}, {attribute("alpha", slope_of(op))});
      case ActivationKind::kSilu:
        return out_.node("Mul", {x, out_.node("Sigmoid", {x})});
      case ActivationKind::kHardSwish:
        return out_.node("Mul", {x, hard_sigmoid(x, 0.5)});
      case ActivationKind::kHardSigmoid:
        return hard_sigmoid(x, 0.5);
      case ActivationKind::kSigmoid:
        return out_.node("Sigmoid", {x});
      case ActivationKind::kTanh:
        return out_.node("Tanh", {x});
      case ActivationKind::kGelu: {
        const std::string error = out_.node("Erf", {out_.node("Div", {x, out_.number(std::sqrt(2.0))})});
        const std::string factor = out_.node("Add", {error, out_.number(1)});
        return out_.node("Mul", {out_.node("Mul", {x, factor}), out_.number(0.5)});
      }
      case ActivationKind::kMish:
        return out_.node("Mul", {x, out_.node("Tanh", {out_.node("Softplus", {x})})});
      case ActivationKind::kElu:
        return out_.node("Elu", {x}, {attribute("alpha", op.slope)});
    }
    unsupported("an activation without an ONNX form");
  }

  std::string operator()(const Add&) { return out_.node("Add", inputs_); }

  // A gate comes first: OpenCV 4.6 takes x * HardSigmoid(y), in this order, for the hard-swish of y.
  std::string operator()(const Multiply&) {
    const auto* second = std::get_if<Activation>(&e_.source.graph.node(node_.inputs[1]).operation);
    const bool gate = e_.shape(node_.inputs[0]) != e_.shape(node_.inputs[1]) ||
                      (second != nullptr && second->kind == ActivationKind::kHardSigmoid);
    return out_.node("Mul", gate ? std::vector{inputs_[1], inputs_[0]} : inputs_);
  }

  std::string operator()(const Concat&) {
    return out_.node("Concat", inputs_, {attribute("axis", int64_t{1})});
  }

  // Not Split: OpenCV 4.6 takes every Split of opset 13 for one into equal parts.
  std::string operator()(const Slice& op) {
    const int64_t group = e_.shape(node_.inputs[0])[1] / op.groups;
    std::vector<std::string> parts;
    for (int64_t first = 0; first < op.groups * group; first += group)
      parts.push_back(slice(inputs_[0], 1, first + op.begin, first + op.end));
    return op.groups == 1 ? parts[0] : out_.node("Concat", std::move(parts), {attribute("axis", int64_t{1})});
  }

  std::string operator()(const Scale& op) {
    const Tensor weight = e_.source.weights.at(op.weight).to_float();
    return out_.node("Mul", {inputs_[0], out_.numbers({1, weight.dim(0), 1, 1},
                                                      {weight.values().begin(), weight.values().end()})});
  }

  // (N, heads, channels of a head, areas, positions of a run) is (N areas, heads, channels, positions) for
  // the products.
  std::string operator()(const Attention& op) {
    const int64_t keys = op.key_channels, values = op.value_channels, head = op.head_channels();
    std::string runs;
    if (op.areas == 1) {
      runs = out_.node("Reshape", {inputs_[0], out_.integers({0, op.heads, head, -1})});
    } else {
      const std::string cut =
          out_.node("Reshape", {inputs_[0], out_.integers({0, op.heads * head, op.areas, -1})});
      const std::string areas_first = out_.node("Transpose", {cut}, {attribute("perm", Ints{0, 2, 1, 3})});
      runs = out_.node("Reshape", {areas_first, out_.integers({-1, op.heads, head, 0})});
    }
    // The factor before the product: OpenCV 4.6 merges one behind it into weights that are data.
    const std::string queries = out_.node(
        "Mul", {out_.node("Transpose", {slice(runs, 2, 0, keys)}, {attribute("perm", Ints{0, 1, 3, 2})}),
                out_.number(1 / std::sqrt(static_cast<double>(keys)))});
    const std::string scores = out_.node("MatMul", {queries, slice(runs, 2, keys, 2 * keys)});
    const std::string shares = out_.node("Softmax", {scores}, {attribute("axis", int64_t{3})});
    std::string result =
        out_.node("MatMul", {slice(runs, 2, 2 * keys, head),
                             out_.node("Transpose", {shares}, {attribute("perm", Ints{0, 1, 3, 2})})});
    if (op.areas > 1) {
      const std::string apart =
          out_.node("Reshape", {result, out_.integers({-1, op.areas, op.heads * values, 0})});
      result = out_.node("Transpose", {apart}, {attribute("perm", Ints{0, 2, 1, 3})});
    }
    return out_.node("Reshape", {result, map_shape(op.heads * values)});
  }

  // (N, g * c, H, W) -> (N, g, c, H * W) -> (N, c, g, H * W) -> (N, c * g, H, W)
  std::string operator()(const ChannelShuffle& op) {
    const Shape& s = e_.shape(node_.inputs[0]);
    const std::string grouped =
        out_.node("Reshape", {inputs_[0], out_.integers({0, op.groups, s[1] / op.groups, -1})});
    const std::string swapped = out_.node("Transpose", {grouped}, {attribute("perm", Ints{0, 2, 1, 3})});
    const std::string shape =
        e_.options.dynamic ? out_.node("Shape", {inputs_[0]}) : out_.integers({0, s[1], s[2], s[3]});
    return out_.node("Reshape", {swapped, shape});
  }

  std::string operator()(const MaxPool& op) {
    return max_pool(op.kernel, op.kernel, op.stride, op.stride, op.padding);
  }

  std::string operator()(const AdaptiveMaxPool& op) {
    if (op.size == 1) return out_.node("GlobalMaxPool", inputs_);
    const Shape& s = e_.shape(node_.inputs[0]);
    if (e_.options.dynamic) unsupported("adaptive pooling has no ONNX form of any size; export a fixed size");
    if (s[2] % op.size != 0 || s[3] % op.size != 0)
      unsupported(
          fmt::format("adaptive pooling of a {}x{} map to {}x{} has cells of different sizes, for which ONNX "
                      "has no operator; choose an image size that divides",
                      s[2], s[3], op.size, op.size));
    return max_pool(s[2] / op.size, s[3] / op.size, s[2] / op.size, s[3] / op.size, 0);
  }

  std::string operator()(const GlobalAveragePool&) { return out_.node("GlobalAveragePool", inputs_); }

  // Until opset 13 the input `roi`, unused here, may not be left out.
  std::string operator()(const Upsample& op) {
    const auto factor = static_cast<float>(op.factor);
    constexpr int kOptionalRoi = 13;
    out_.set_float_type(DType::kFloat32);  // ONNX wants the factors so, whatever the network's type
    const std::string roi = e_.options.opset < kOptionalRoi ? out_.numbers({0}, {}) : "";
    const std::string factors = out_.numbers({4}, {1, 1, factor, factor});
    out_.set_float_type(e_.options.half ? DType::kFloat16 : DType::kFloat32);
    return out_.node("Resize", {inputs_[0], roi, factors},
                     {attribute("coordinate_transformation_mode", "asymmetric"), attribute("mode", "nearest"),
                      attribute("nearest_mode", "floor")});
  }

  std::string operator()(const Flatten&) {
    return out_.node("Flatten", inputs_, {attribute("axis", int64_t{1})});
  }

  std::string operator()(const Dropout& op) {
    return op.downscale_in_inference ? out_.node("Mul", {inputs_[0], out_.number(1 - op.rate)}) : inputs_[0];
  }
  std::string operator()(const DropPath&) { return inputs_[0]; }
  std::string operator()(const DetectDecode& op) { return export_detect_decode(e_, node_, op); }

 private:
  [[noreturn]] void unsupported(const std::string& message) const {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("[{}] {}: {}", operation_name(node_.operation), node_.name, message));
  }

  std::vector<std::string> with_parameters(std::initializer_list<std::string> names) const {
    std::vector<std::string> inputs = {inputs_[0]};
    for (const std::string& name : names)
      if (!name.empty()) inputs.push_back(e_.parameter(name));
    return inputs;
  }

  double slope_of(const Activation& op) const {
    return op.slope_name.empty() ? op.slope : e_.source.weights.at(op.slope_name).to_float().values()[0];
  }

  std::string slice(const std::string& x, int64_t axis, int64_t begin, int64_t end) {
    return out_.node("Slice", {x, out_.integers({begin}), out_.integers({end}), out_.integers({axis})});
  }

  // (N, channels, H, W) of the input's N, H and W.
  std::string map_shape(int64_t channels) {
    const Shape& s = e_.shape(node_.inputs[0]);
    if (!e_.options.dynamic) return out_.integers({0, channels, s[2], s[3]});
    const std::string shape = out_.node("Shape", {inputs_[0]});
    return out_.node("Concat", {slice(shape, 0, 0, 1), out_.integers({channels}), slice(shape, 0, 2, 4)},
                     {attribute("axis", int64_t{0})});
  }

  // min(max(x / 6 + shift, 0), 1)
  std::string hard_sigmoid(const std::string& x, double shift) {
    return out_.node("HardSigmoid", {x}, {attribute("alpha", 1.0 / 6), attribute("beta", shift)});
  }

  std::string max_pool(int64_t kernel_rows, int64_t kernel_columns, int64_t stride_rows,
                       int64_t stride_columns, int64_t padding) {
    return out_.node(
        "MaxPool", inputs_,
        {attribute("kernel_shape", Ints{kernel_rows, kernel_columns}), attribute("pads", Ints(4, padding)),
         attribute("strides", Ints{stride_rows, stride_columns})});
  }

  Exporting& e_;
  GraphWriter& out_;
  const Node& node_;
  std::vector<std::string> inputs_;
};

}  // namespace

std::string export_operation(Exporting& e, const Node& node) {
  e.out.set_scope(node.name.empty() ? std::string(operation_name(node.operation)) : node.name);
  return std::visit(OperationExporter(e, node), node.operation);
}

}  // namespace marrow::onnx
