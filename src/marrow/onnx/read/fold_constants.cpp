#include "marrow/onnx/read/fold_constants.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>

#include "marrow/base/error.h"
#include "marrow/onnx/file/proto_numbers.h"
#include "marrow/onnx/read/shape_math.h"

namespace marrow::onnx {
namespace {

using Inputs = std::vector<const Tensor*>;
using Ints = std::vector<int64_t>;

const Tensor& input(const Inputs& inputs, size_t i) {
  if (i >= inputs.size() || inputs[i] == nullptr) fail_format(fmt::format("input {} is missing", i));
  return *inputs[i];
}

Tensor make(const Shape& shape, DType dtype) {
  if (element_count(shape) > kMaxFoldedElements)
    fail_format(fmt::format("a constant of shape {} is larger than any that is needed", to_string(shape)));
  return Tensor(shape, dtype);
}

Ints row_major_strides(const Shape& shape) {
  Ints strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// For every element of `shape` in order, calls visit(offset of it under `strides`), from `start`.
template <class Visit>
void walk(const Shape& shape, const Ints& strides, int64_t start, const Visit& visit) {
  const int64_t count = element_count(shape);
  Ints index(shape.size(), 0);
  int64_t offset = start;
  for (int64_t i = 0; i < count; ++i) {
    visit(offset);
    for (size_t axis = shape.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

// Elements of `from` at the offsets that `shape` and `strides` describe, whatever their type.
Tensor gather_offsets(const Tensor& from, const Shape& shape, const Ints& strides, int64_t start) {
  Tensor result = make(shape, from.dtype());
  const size_t size = item_size(from.dtype());
  std::byte* to = result.bytes();
  walk(shape, strides, start, [&](int64_t offset) {
    std::memcpy(to, from.bytes() + static_cast<size_t>(offset) * size, size);
    to += size;
  });
  return result;
}

Tensor broadcast_to(const Tensor& from, const Shape& shape) {
  if (from.shape() == shape) return from;
  Ints strides(shape.size(), 0);
  const Ints own = row_major_strides(from.shape());
  const size_t lead = shape.size() - from.shape().size();
  for (size_t i = 0; i < own.size(); ++i) strides[lead + i] = from.dim(i) == 1 ? 0 : own[i];
  return gather_offsets(from, shape, strides, 0);
}

// Integer overflow wraps, as it does in every runtime; division by zero is refused.
int64_t integer_result(std::string_view op, int64_t a, int64_t b) {
  const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  if (op == "Add") return static_cast<int64_t>(ua + ub);
  if (op == "Sub") return static_cast<int64_t>(ua - ub);
  if (op == "Mul") return static_cast<int64_t>(ua * ub);
  if (op == "Min") return std::min(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Equal") return a == b;
  if (op == "Greater") return a > b;
  if (op == "Less") return a < b;
  if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) fail_format("division by zero");
  if (op == "Div") return a / b;
  return a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0);  // Mod takes the divisor's sign
}

float real_result(std::string_view op, float a, float b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  if (op == "Min") return std::min(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Pow") return std::pow(a, b);
  fail_format("not an operator on real constants");
}

bool is_binary(std::string_view op) {
  static constexpr std::array kOps = {"Add", "Sub", "Mul",   "Div",     "Min", "Max",
                                      "Pow", "Mod", "Equal", "Greater", "Less"};
  return std::ranges::find(kOps, op) != kOps.end();
}

Tensor binary(std::string_view op, const Tensor& left, const Tensor& right) {
  const Shape shape = broadcast(left.shape(), right.shape());
  const bool comparison = op == "Equal" || op == "Greater" || op == "Less";
  if (left.dtype() == DType::kInt64 && right.dtype() == DType::kInt64 && op != "Pow") {
    const Tensor a = broadcast_to(left, shape), b = broadcast_to(right, shape);
    Tensor result = make(shape, DType::kInt64);
    for (size_t i = 0; i < result.values<int64_t>().size(); ++i)
      result.values<int64_t>()[i] = integer_result(op, a.values<int64_t>()[i], b.values<int64_t>()[i]);
    return result;
  }
  const Tensor a = broadcast_to(left.to_float(), shape), b = broadcast_to(right.to_float(), shape);
  Tensor result = make(shape, comparison ? DType::kInt64 : DType::kFloat32);
  for (size_t i = 0; i < a.values().size(); ++i) {
    const float x = a.values()[i], y = b.values()[i];
    if (comparison)
      result.values<int64_t>()[i] = op == "Equal" ? x == y : op == "Greater" ? x > y : x < y;
    else
      result.values()[i] = real_result(op, x, y);
  }
  return result;
}

using Function = double (*)(double);
Function unary_function(std::string_view op) {
  static const std::map<std::string_view, Function> kFunctions = {
      {"Floor", [](double x) { return std::floor(x); }},
      {"Ceil", [](double x) { return std::ceil(x); }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Neg", [](double x) { return -x; }},
      {"Abs", [](double x) { return std::abs(x); }},
      {"Reciprocal", [](double x) { return 1 / x; }}};
  const auto found = kFunctions.find(op);
  return found == kFunctions.end() ? nullptr : found->second;
}

// Towards zero; 0 for what int64 cannot hold.
int64_t to_integer(double value) {
  constexpr double kLimit = 9e18;
  return std::abs(value) < kLimit ? static_cast<int64_t>(value) : 0;
}

Tensor unary(Function function, const Tensor& x) {
  Tensor result = make(x.shape(), x.dtype());
  if (x.dtype() == DType::kInt64)
    std::ranges::transform(x.values<int64_t>(), result.values<int64_t>().begin(),
                           [&](int64_t value) { return to_integer(function(static_cast<double>(value))); });
  else
    std::ranges::transform(x.values(), result.values().begin(),
                           [&](float value) { return static_cast<float>(function(value)); });
  return result;
}

Tensor as_integers(const Tensor& x) {
  if (x.dtype() == DType::kInt64) return x;
  Tensor result = make(x.shape(), DType::kInt64);
  std::ranges::transform(x.values(), result.values<int64_t>().begin(), to_integer);
  return result;
}

// `element` is a TensorProto.DataType.
Tensor cast(const Tensor& x, int64_t element) {
  const auto dtype = dtype_of_element(element);
  const bool real = dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kFloat64 ||
                    dtype == DType::kBFloat16;
  return real ? x.to_float() : as_integers(x);
}

Tensor gather(const Tensor& x, const Tensor& indices, int64_t axis_number) {
  const size_t axis = checked_axis(axis_number, x.shape().size());
  if (indices.dtype() != DType::kInt64) fail_format("indices are no integers");
  Shape shape(x.shape().begin(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.shape().end());
  Tensor result = make(shape, x.dtype());
  const int64_t size = x.dim(axis);
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= x.dim(i);
  size_t inner = item_size(x.dtype());
  for (size_t i = axis + 1; i < x.shape().size(); ++i) inner *= static_cast<size_t>(x.dim(i));
  std::byte* to = result.bytes();
  for (int64_t row = 0; row < outer; ++row)
    for (int64_t index : indices.values<int64_t>()) {
      if (index < 0) index += size;
      if (index < 0 || index >= size) fail_format(fmt::format("index {} of {}", index, size));
      std::copy_n(x.bytes() + static_cast<size_t>(row * size + index) * inner, inner, to);
      to += inner;
    }
  return result;
}

Tensor concat(const Inputs& inputs, int64_t axis_number) {
  const Tensor& first = input(inputs, 0);
  const size_t axis = checked_axis(axis_number, first.shape().size());
  Shape shape = first.shape();
  shape[axis] = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& part = input(inputs, i);
    Shape same = part.shape();
    if (part.dtype() != first.dtype() || same.size() != shape.size()) fail_format("parts of different kinds");
    shape[axis] += same[axis];
    same[axis] = first.dim(axis);
    if (same != first.shape()) fail_format("parts of different sizes");
  }
  Tensor result = make(shape, first.dtype());
  size_t inner = item_size(first.dtype());
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<size_t>(shape[i]);
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= shape[i];
  std::byte* to = result.bytes();
  for (int64_t row = 0; row < outer; ++row)
    for (const Tensor* part : inputs) {
      const size_t bytes = static_cast<size_t>(part->dim(axis)) * inner;
      std::copy_n(part->bytes() + static_cast<size_t>(row) * bytes, bytes, to);
      to += bytes;
    }
  return result;
}

Tensor slice(const ShapedNode& node, const Inputs& inputs) {
  const Tensor& x = input(inputs, 0);
  const auto ranges = slice_ranges(node, x.shape(), inputs);
  if (!ranges) fail_format("its limits are not constant");
  Ints strides = row_major_strides(x.shape());
  Shape shape;
  int64_t start = 0;
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    start += (*ranges)[axis].begin * strides[axis];
    strides[axis] *= (*ranges)[axis].step;
    shape.push_back((*ranges)[axis].count);
  }
  return gather_offsets(x, shape, strides, start);
}

Tensor transpose(const Tensor& x, Ints order) {
  const size_t rank = x.shape().size();
  if (order.empty())
    for (size_t i = rank; i-- > 0;) order.push_back(static_cast<int64_t>(i));
  if (order.size() != rank) fail_format("the order of axes has another length than the shape");
  const Ints own = row_major_strides(x.shape());
  Shape shape;
  Ints strides;
  for (const int64_t axis : order) {
    const size_t checked = checked_axis(axis, rank);
    shape.push_back(x.dim(checked));
    strides.push_back(own[checked]);
  }
  if (element_count(shape) != x.size()) fail_format("the order of axes names one twice");
  return gather_offsets(x, shape, strides, 0);
}

Tensor range(const Inputs& inputs) {
  const Tensor &start = input(inputs, 0), &limit = input(inputs, 1), &step = input(inputs, 2);
  if (start.size() != 1 || limit.size() != 1 || step.size() != 1) fail_format("a limit is no single number");
  const double first = start.to_float().values()[0], last = limit.to_float().values()[0],
               by = step.to_float().values()[0];
  const double count = std::ceil((last - first) / by);
  if (!(count <= static_cast<double>(kMaxFoldedElements)))
    fail_format(fmt::format("a range from {} to {} by {}", first, last, by));
  const bool integers = start.dtype() == DType::kInt64;
  Tensor result = make({std::max<int64_t>(static_cast<int64_t>(count), 0)}, start.dtype());
  for (int64_t i = 0; i < result.size(); ++i) {
    const double value = first + static_cast<double>(i) * by;
    if (integers)
      result.values<int64_t>()[static_cast<size_t>(i)] = static_cast<int64_t>(value);
    else
      result.values()[static_cast<size_t>(i)] = static_cast<float>(value);
  }
  return result;
}

Tensor constant(const ShapedNode& node) {
  if (node.proto->attributes.size() != 1) fail_format("wants one attribute");
  const Attribute& a = node.proto->attributes.front();
  switch (a.type) {
    case Attribute::Type::kTensor:
      return normalised_constant(a.tensor);
    case Attribute::Type::kFloat:
      return Tensor::scalar(a.real);
    case Attribute::Type::kFloats:
      return Tensor::from({static_cast<int64_t>(a.reals.size())}, a.reals);
    case Attribute::Type::kInt:
    case Attribute::Type::kInts: {
      const Ints values = a.type == Attribute::Type::kInt ? Ints{a.integer} : a.integers;
      Tensor result(a.type == Attribute::Type::kInt ? Shape{} : Shape{static_cast<int64_t>(values.size())},
                    DType::kInt64);
      std::ranges::copy(values, result.values<int64_t>().begin());
      return result;
    }
    default:
      fail_format("is no number");
  }
}

Tensor constant_of_shape(const ShapedNode& node, const Inputs& inputs) {
  const Attribute* value = node.find("value");
  const Tensor element = value == nullptr ? Tensor::scalar(0) : normalised_constant(value->tensor);
  if (element.size() != 1) fail_format("wants one value");
  return broadcast_to(element.reshape({}), [&] {
    const Shape shape = integers_of(input(inputs, 0));
    return shape;
  }());
}

Tensor where(const Inputs& inputs) {
  Shape shape = broadcast(input(inputs, 0).shape(), input(inputs, 1).shape());
  shape = broadcast(shape, input(inputs, 2).shape());
  const Tensor condition = broadcast_to(as_integers(*inputs[0]), shape);
  const Tensor yes = broadcast_to(*inputs[1], shape), no = broadcast_to(*inputs[2], shape);
  if (yes.dtype() != no.dtype()) fail_format("the two sides are of different kinds");
  Tensor result = make(shape, yes.dtype());
  const size_t size = item_size(yes.dtype());
  for (size_t i = 0; i < condition.values<int64_t>().size(); ++i)
    std::memcpy(result.bytes() + i * size,
                (condition.values<int64_t>()[i] != 0 ? yes : no).bytes() + i * size, size);
  return result;
}

Tensor expand(const Inputs& inputs) {
  const Shape shape = broadcast(input(inputs, 0).shape(), integers_of(input(inputs, 1)));
  return broadcast_to(*inputs[0], shape);
}

Tensor with_axes(const ShapedNode& node, const Inputs& inputs) {
  const Ints axes = axes_of(node, inputs).value_or(Ints{});
  const Tensor& x = input(inputs, 0);
  return x.reshape(node.is("Squeeze") ? squeezed(x.shape(), axes) : unsqueezed(x.shape(), axes));
}

// (x - zero point) * scale, both one number or one an element of an axis.
Tensor dequantized(const ShapedNode& node, const Inputs& inputs) {
  const Tensor x = input(inputs, 0).to_float();
  const auto rank = static_cast<int64_t>(x.shape().size());
  const auto aligned = [&](const Tensor& of) {
    if (of.size() == 1) return of.to_float().reshape({});
    int64_t axis = node.integer("axis", 1);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || of.shape() != Shape{x.shape()[static_cast<size_t>(axis)]})
      fail_format("its scale does not fit the axis");
    Shape shape(static_cast<size_t>(rank), 1);
    shape[static_cast<size_t>(axis)] = of.size();
    return of.to_float().reshape(shape);
  };
  Tensor shifted = x;
  if (inputs.size() > 2 && inputs[2] != nullptr) shifted = binary("Sub", x, aligned(*inputs[2]));
  return binary("Mul", shifted, aligned(input(inputs, 1)));
}

}  // namespace

Tensor normalised_constant(const Tensor& stored) {
  switch (stored.dtype()) {
    case DType::kFloat32:
    case DType::kInt64:
      return stored;
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kFloat64:
      return stored.to_float();
    default: {
      const Tensor real =
          stored.to_float();  // exact: those integers have up to 32 bits, weights of networks fewer
      Tensor result(stored.shape(), DType::kInt64);
      if (stored.dtype() == DType::kInt32)
        std::ranges::copy(stored.values<int32_t>(), result.values<int64_t>().begin());
      else
        std::ranges::transform(real.values(), result.values<int64_t>().begin(),
                               [](float value) { return static_cast<int64_t>(value); });
      return result;
    }
  }
}

std::optional<Tensor> fold(const ShapedNode& node, const std::vector<const Tensor*>& inputs) {
  const std::string& op = node.proto->op_type;
  if (op == "Constant") return constant(node);
  if (is_binary(op)) return binary(op, input(inputs, 0), input(inputs, 1));
  if (const Function function = unary_function(op)) return unary(function, input(inputs, 0));
  if (op == "Cast") return cast(input(inputs, 0), node.integer("to", 0));
  if (op == "Identity") return input(inputs, 0);
  if (op == "DequantizeLinear") return dequantized(node, inputs);
  if (op == "Gather") return gather(input(inputs, 0), input(inputs, 1), node.integer("axis", 0));
  if (op == "Concat") return concat(inputs, node.integer("axis", 0));
  if (op == "Slice") return slice(node, inputs);
  if (op == "Transpose") return transpose(input(inputs, 0), node.integers("perm"));
  if (op == "Range") return range(inputs);
  if (op == "ConstantOfShape") return constant_of_shape(node, inputs);
  if (op == "Where") return where(inputs);
  if (op == "Expand") return expand(inputs);
  if (op == "Squeeze" || op == "Unsqueeze") return with_axes(node, inputs);
  if (op == "Reshape")
    return input(inputs, 0).reshape(
        reshaped(input(inputs, 0).shape(), integers_of(input(inputs, 1)), node.integer("allowzero", 0) != 0));
  return std::nullopt;
}

}  // namespace marrow::onnx
