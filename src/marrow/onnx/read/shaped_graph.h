// An ONNX graph for one input size: every shape known, everything that depends on shapes and constants alone
// computed. What is left is what a network does to its data, and that is what gets recognised.
//
// Exporters write a reshape's target as a chain of Shape, Gather, Concat and arithmetic, and a detector's
// anchors as Range and Expand. For a given input size all of these are constants.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/onnx/file/proto.h"

namespace marrow::onnx {

// A value of the graph, by its number.
struct ValueId {
  int id = -1;  // -1: an optional input that is left out
  bool operator==(const ValueId&) const = default;
};

struct ShapedNode {
  const NodeProto* proto = nullptr;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;

  bool is(std::string_view op) const { return proto->op_type == op; }
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : ValueId{}; }
  const Attribute* find(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t fallback) const;
  double real(std::string_view name, double fallback) const;
  std::string_view text(std::string_view name, std::string_view fallback) const;
  std::vector<int64_t> integers(std::string_view name) const;  // empty when it is not there
  std::string label() const;                                   // "'/model.0/act/Mul' (Mul)", for messages
};

struct ShapedValue {
  std::string name;
  std::optional<Shape> shape;      // none behind an operator whose result depends on data
  std::optional<Tensor> constant;  // float32 or int64
  int node = -1;                   // that makes it; -1 for constants and the input
  size_t output = 0;               // which of its outputs
};

struct ShapedGraph {
  const ModelProto* model = nullptr;
  int64_t opset = 0;
  std::vector<ShapedValue> values;
  std::vector<ShapedNode> nodes;  // in the file's order; folded ones, Identity, Dropout and Cast are gone
  ValueId input;
  std::vector<ValueId> outputs;

  const ShapedValue& value(ValueId v) const { return values.at(static_cast<size_t>(v.id)); }
  // nullptr for an input that is left out and a value that is not constant.
  const Tensor* constant(ValueId v) const;
  // Of each of the node's inputs.
  std::vector<const Tensor*> constants(const ShapedNode& node) const;
  // A constant of one element.
  std::optional<double> scalar(ValueId v) const;
  // The node that makes the value; nullptr for constants and the input. With `op` only one of that kind.
  const ShapedNode* producer(ValueId v) const;
  const ShapedNode* producer(ValueId v, std::string_view op) const;
  // Its shape. Throws Error{kUnsupported} naming the node where it is not known.
  const Shape& shape(ValueId v) const;
  // Where along its axis a Split's output begins. Throws Error{kUnsupported} where an output before it has no
  // name.
  int64_t split_begin(const ShapedNode& split, size_t axis, size_t output) const;
};

// `model` must outlive the result. Throws Error{kFormat} when nodes read what no earlier node makes, or
// shapes do not meet; Error{kUnsupported} for operator sets beyond kMaxReadOpset; all naming the node.
ShapedGraph shape_graph(const ModelProto& model, const Shape& input);

inline constexpr int64_t kMinReadOpset = 7;
inline constexpr int64_t kMaxReadOpset = 22;

}  // namespace marrow::onnx
