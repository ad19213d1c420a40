#include "marrow/onnx/read/shape_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

using Ints = std::vector<int64_t>;

constexpr int64_t kMaxWindow = 16384;  // pixels; of a window, a stride, a pad

bool one_of(std::string_view op, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, op) != list.end();
}

bool keeps_shape(std::string_view op) {
  return one_of(op, {"Relu",
                     "LeakyRelu",
                     "PRelu",
                     "Elu",
                     "Sigmoid",
                     "Sin",
                     "Cos",
                     "HardSigmoid",
                     "HardSwish",
                     "Tanh",
                     "Softplus",
                     "Erf",
                     "Gelu",
                     "Mish",
                     "Clip",
                     "Softmax",
                     "LogSoftmax",
                     "BatchNormalization",
                     "Exp",
                     "Sqrt",
                     "Neg",
                     "Abs",
                     "Floor",
                     "Round",
                     "Reciprocal",
                     "Selu",
                     "Celu",
                     "ThresholdedRelu",
                     "InstanceNormalization",
                     "LayerNormalization"});
}

class ShapeRules {
 public:
  ShapeRules(const ShapedNode& node, const std::vector<Operand>& operands)
      : node_(node), operands_(operands) {
    for (const Operand& operand : operands) constants_.push_back(operand.constant);
  }

  std::optional<std::vector<Shape>> run() {
    const std::string& op = node_.proto->op_type;
    if (keeps_shape(op)) return one(shape(0));
    if (one_of(op, {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Equal", "Greater", "Less", "Mod"}))
      return one(broadcast(shape(0), operands_.size() > 1 ? shape(1) : shape(0)));
    if (op == "Conv") return one(conv());
    if (op == "ConvTranspose") return one(conv_transpose());
    if (one_of(op, {"MaxPool", "AveragePool"})) return one(pool());
    if (one_of(op, {"GlobalAveragePool", "GlobalMaxPool"})) return one(global_pool());
    if (one_of(op, {"ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin"})) return reduce();
    if (op == "ArgMax") return one(arg_max());
    if (op == "Concat") return one(concat());
    if (op == "Split") return split();
    if (op == "Slice") return slice();
    if (op == "Reshape") return reshape();
    if (op == "Flatten") return one(flatten());
    if (op == "Transpose") return one(transpose());
    if (one_of(op, {"Squeeze", "Unsqueeze"})) return with_axes();
    if (one_of(op, {"Resize", "Upsample"})) return one(resize());
    if (op == "Gemm") return one(gemm());
    if (op == "MatMul") return one(mat_mul());
    if (op == "Pad") return pad();
    if (op == "Expand") return expand();
    return std::nullopt;
  }

 private:
  static std::vector<Shape> one(Shape shape) { return {std::move(shape)}; }

  const Shape& shape(size_t i) const {
    if (i >= operands_.size() || operands_[i].shape == nullptr)
      fail_format(fmt::format("input {} is missing", i));
    return *operands_[i].shape;
  }
  const Tensor* constant(size_t i) const { return i < constants_.size() ? constants_[i] : nullptr; }

  const Shape& map() const {
    if (shape(0).size() != 4)
      fail_format(fmt::format("wants an (N, C, H, W) map, got {}", to_string(shape(0))));
    return shape(0);
  }

  Ints spatial(const Window& w, bool ceil_mode) const {
    Ints sizes;
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t extent = w.dilations[axis] * (w.kernel[axis] - 1) + 1;
      const int64_t room = map()[2 + axis] + w.before[axis] + w.after[axis] - extent;
      if (room < 0) fail_format(fmt::format("a window of {} does not fit into {}", extent, to_string(map())));
      sizes.push_back((room + (ceil_mode ? w.strides[axis] - 1 : 0)) / w.strides[axis] + 1);
    }
    return sizes;
  }

  Shape conv() const {
    const Shape& weight = shape(1);
    if (weight.size() != 4) fail_format(fmt::format("the weight is {}", to_string(weight)));
    const Ints sizes = spatial(window_of(node_, map(), {weight[2], weight[3]}), false);
    return {map()[0], weight[0], sizes[0], sizes[1]};
  }

  Shape conv_transpose() const {
    const Shape& weight = shape(1);
    if (weight.size() != 4) fail_format(fmt::format("the weight is {}", to_string(weight)));
    const Window w = window_of(node_, map(), {weight[2], weight[3]});
    Shape result = {map()[0], weight[1] * node_.integer("group", 1), 0, 0};
    Ints added = node_.integers("output_padding");
    if (added.empty()) added = {0, 0};
    if (added.size() != 2) fail_format("another number of output paddings than of axes");
    for (const int64_t amount : added)
      if (amount < 0 || amount > kMaxWindow) fail_format(fmt::format("an output padding of {}", amount));
    for (size_t axis = 0; axis < 2; ++axis)
      result[2 + axis] = (map()[2 + axis] - 1) * w.strides[axis] + w.kernel[axis] - w.before[axis] -
                         w.after[axis] + added[axis];
    return result;
  }

  Shape pool() const {
    const Ints sizes =
        spatial(window_of(node_, map(), node_.integers("kernel_shape")), node_.integer("ceil_mode", 0) != 0);
    return {map()[0], map()[1], sizes[0], sizes[1]};
  }

  Shape global_pool() const { return {map()[0], map()[1], 1, 1}; }

  std::optional<std::vector<Shape>> reduce() const {
    const auto axes = axes_of(node_, constants_);
    if (!axes) return std::nullopt;
    std::vector<bool> gone(shape(0).size(), axes->empty());
    for (const int64_t axis : *axes) gone[checked_axis(axis, gone.size())] = true;
    Shape result;
    const bool keep = node_.integer("keepdims", 1) != 0;
    for (size_t i = 0; i < gone.size(); ++i)
      if (!gone[i] || keep) result.push_back(gone[i] ? 1 : shape(0)[i]);
    return one(result);
  }

  Shape arg_max() const {
    Shape result = shape(0);
    const size_t axis = checked_axis(node_.integer("axis", 0), result.size());
    if (node_.integer("keepdims", 1) != 0)
      result[axis] = 1;
    else
      result.erase(result.begin() + static_cast<std::ptrdiff_t>(axis));
    return result;
  }

  Shape concat() const {
    Shape result = shape(0);
    const size_t axis = checked_axis(node_.integer("axis", 0), result.size());
    for (size_t i = 1; i < operands_.size(); ++i) {
      Shape part = shape(i);
      if (part.size() != result.size()) fail_format("the inputs have different numbers of dimensions");
      result[axis] += part[axis];
      part[axis] = result[axis];
      if (part != result)
        fail_format(fmt::format("inputs 0 ({}) and {} ({}) do not go together", to_string(shape(0)), i,
                                to_string(shape(i))));
    }
    return result;
  }

  std::optional<std::vector<Shape>> split() const {
    const size_t axis = checked_axis(node_.integer("axis", 0), shape(0).size());
    const auto parts = static_cast<int64_t>(node_.outputs.size());
    const int64_t whole = shape(0)[axis];
    Ints sizes = node_.integers("split");
    if (operands_.size() > 1 && operands_[1].shape != nullptr) {
      if (constant(1) == nullptr) return std::nullopt;
      sizes = integers_of(*constant(1));
    }
    if (sizes.empty()) {  // equal parts, the last what is left
      const int64_t each = (whole + parts - 1) / parts;
      for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::min(each, whole - i * each));
    }
    if (static_cast<int64_t>(sizes.size()) != parts) fail_format("another number of parts than of outputs");
    std::vector<Shape> result;
    int64_t sum = 0;
    for (const int64_t size : sizes) {
      if (size < 1 || size > whole) fail_format(fmt::format("a part of {} of {}", size, whole));
      sum += size;
      result.push_back(shape(0));
      result.back()[axis] = size;
    }
    if (sum != whole) fail_format(fmt::format("the parts are {} together, of {}", sum, whole));
    return result;
  }

  std::optional<std::vector<Shape>> slice() const {
    const auto ranges = slice_ranges(node_, shape(0), constants_);
    if (!ranges) return std::nullopt;
    Shape result;
    for (const SliceRange& range : *ranges) result.push_back(range.count);
    return one(result);
  }

  std::optional<std::vector<Shape>> reshape() const {
    if (node_.find("shape") != nullptr) return one(reshaped(shape(0), node_.integers("shape"), false));
    if (constant(1) == nullptr) return std::nullopt;
    return one(reshaped(shape(0), integers_of(*constant(1)), node_.integer("allowzero", 0) != 0));
  }

  Shape flatten() const {
    const Shape& s = shape(0);
    const auto rank = static_cast<int64_t>(s.size());
    int64_t axis = node_.integer("axis", 1);
    if (axis < -rank || axis > rank) fail_format(fmt::format("axis {} of {} dimensions", axis, rank));
    if (axis < 0) axis += rank;
    const auto middle = s.begin() + axis;
    return {element_count(Shape(s.begin(), middle)), element_count(Shape(middle, s.end()))};
  }

  Shape transpose() const {
    Ints order = node_.integers("perm");
    const size_t rank = shape(0).size();
    if (order.empty())
      for (size_t i = rank; i-- > 0;) order.push_back(static_cast<int64_t>(i));
    if (order.size() != rank) fail_format("the order of axes has another length than the shape");
    Shape result;
    std::vector<bool> taken(rank, false);
    for (const int64_t axis : order) {
      const size_t at = checked_axis(axis, rank);
      if (taken[at]) fail_format(fmt::format("the order of axes has axis {} twice", at));
      taken[at] = true;
      result.push_back(shape(0)[at]);
    }
    return result;
  }

  std::optional<std::vector<Shape>> with_axes() const {
    const auto axes = axes_of(node_, constants_);
    if (!axes) return std::nullopt;
    return one(node_.is("Squeeze") ? squeezed(shape(0), *axes) : unsqueezed(shape(0), *axes));
  }

  Shape resize() const {
    const std::vector<double> factors = resize_factors(node_, operands_);
    if (factors.size() != shape(0).size()) fail_format("another number of factors than of dimensions");
    Shape result;
    for (size_t i = 0; i < factors.size(); ++i) {
      constexpr double kMax = 1e9;
      const double size = std::floor(static_cast<double>(shape(0)[i]) * factors[i]);
      if (!(size >= 1 && size < kMax)) fail_format(fmt::format("a factor of {}", factors[i]));
      result.push_back(static_cast<int64_t>(size));
    }
    return result;
  }

  Shape gemm() const {
    if (shape(0).size() != 2 || shape(1).size() != 2) fail_format("wants two matrices");
    const bool transposed = node_.integer("transB", 0) != 0;
    if (node_.integer("transA", 0) != 0 || shape(0)[1] != shape(1)[transposed ? 1 : 0])
      fail_format(fmt::format("{} and {} do not go together", to_string(shape(0)), to_string(shape(1))));
    return {shape(0)[0], shape(1)[transposed ? 0 : 1]};
  }

  Shape mat_mul() const {
    const Shape &a = shape(0), &b = shape(1);
    if (a.size() < 2 || b.empty() || a.back() != (b.size() == 1 ? b[0] : b[b.size() - 2]))
      fail_format(fmt::format("{} and {} do not go together", to_string(a), to_string(b)));
    // Matrices in the last two axes; those before them are broadcast.
    Shape result =
        broadcast({a.begin(), a.end() - 2}, b.size() < 2 ? Shape() : Shape(b.begin(), b.end() - 2));
    result.push_back(a[a.size() - 2]);
    if (b.size() > 1) result.push_back(b.back());
    return result;
  }

  std::optional<std::vector<Shape>> pad() const {
    Ints pads = node_.integers("pads");
    if (operands_.size() > 1) {
      if (constant(1) == nullptr) return std::nullopt;
      pads = integers_of(*constant(1));
    }
    Shape result = shape(0);
    if (pads.size() != 2 * result.size()) fail_format("another number of pads than of sides");
    for (const int64_t amount : pads)
      if (amount < -kMaxWindow || amount > kMaxWindow) fail_format(fmt::format("a pad of {}", amount));
    for (size_t i = 0; i < result.size(); ++i) result[i] += pads[i] + pads[result.size() + i];
    return one(result);
  }

  std::optional<std::vector<Shape>> expand() const {
    if (constant(1) == nullptr) return std::nullopt;
    return one(broadcast(shape(0), integers_of(*constant(1))));
  }

  const ShapedNode& node_;
  const std::vector<Operand>& operands_;
  std::vector<const Tensor*> constants_;
};

}  // namespace

Window window_of(const ShapedNode& node, const Shape& map, const std::vector<int64_t>& kernel) {
  const auto pair = [&](const char* name, int64_t fallback) {
    const Ints values = node.integers(name);
    return values.empty() ? Ints{fallback, fallback} : values;
  };
  Window w{kernel, pair("strides", 1), pair("dilations", 1), {0, 0}, {0, 0}};
  if (const Ints stated = node.integers("kernel_shape"); !stated.empty() && stated != kernel)
    fail_format("kernel_shape is not the weight's");
  for (const Ints* values : {&w.kernel, &w.strides, &w.dilations}) {
    if (values->size() != 2) fail_format("windows over two axes are read, for images");
    for (const int64_t value : *values)
      if (value < 1 || value > kMaxWindow)
        fail_format(fmt::format("a kernel, stride or dilation of {}", value));
  }
  const std::string_view rule = node.text("auto_pad", "NOTSET");
  if (rule == "SAME_UPPER" || rule == "SAME_LOWER") {
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t size = map.at(2 + axis), stride = w.strides[axis];
      const int64_t extent = w.dilations[axis] * (w.kernel[axis] - 1) + 1;
      const int64_t total = std::max<int64_t>(((size + stride - 1) / stride - 1) * stride + extent - size, 0);
      const int64_t less = total / 2;
      w.before[axis] = rule == "SAME_UPPER" ? less : total - less;
      w.after[axis] = total - w.before[axis];
    }
  } else if (const Ints pads = node.integers("pads"); rule == "NOTSET" && !pads.empty()) {
    if (pads.size() != 4) fail_format("another number of pads than of sides");
    for (const int64_t pad : pads)
      if (pad < 0 || pad > kMaxWindow) fail_format(fmt::format("a pad of {}", pad));
    w.before = {pads[0], pads[1]};
    w.after = {pads[2], pads[3]};
  }
  return w;
}

std::vector<double> resize_factors(const ShapedNode& node, const std::vector<Operand>& operands) {
  const auto constant = [&](size_t i) -> const Tensor* {
    return i < operands.size() && operands[i].constant != nullptr && operands[i].constant->size() > 0
               ? operands[i].constant
               : nullptr;
  };
  // Upsample and the first Resize: X, scales. Later: X, roi, scales, sizes.
  const Tensor* scales = operands.size() == 2 ? constant(1) : constant(2);
  if (const Attribute* old = node.find("scales"); old != nullptr)
    return {old->reals.begin(), old->reals.end()};
  if (scales != nullptr) {
    const Tensor values = scales->to_float();
    return {values.values().begin(), values.values().end()};
  }
  const Tensor* sizes = constant(3);
  if (sizes == nullptr || operands[0].shape == nullptr)
    throw Error(ErrorKind::kUnsupported, "the size it makes depends on data");
  const Ints wanted = integers_of(*sizes);
  if (wanted.size() != operands[0].shape->size()) fail_format("another number of sizes than of dimensions");
  std::vector<double> factors;
  for (size_t i = 0; i < wanted.size(); ++i)
    factors.push_back(static_cast<double>(wanted[i]) /
                      static_cast<double>(std::max<int64_t>((*operands[0].shape)[i], 1)));
  return factors;
}

std::optional<std::vector<Shape>> output_shapes(const ShapedNode& node,
                                                const std::vector<Operand>& operands) {
  return ShapeRules(node, operands).run();
}

}  // namespace marrow::onnx
