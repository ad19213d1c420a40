// The shapes that operators give to data.
#pragma once

#include <optional>
#include <vector>

#include "marrow/onnx/read/shaped_graph.h"

namespace marrow::onnx {

// What the rules see of an operand.
struct Operand {
  const Shape* shape = nullptr;      // nullptr: left out
  const Tensor* constant = nullptr;  // nullptr: data
};

// The shapes of the node's outputs; nothing where the operator is not known here or its result depends on
// data. Throws Error{kFormat}, without the node's name, where shapes do not meet.
std::optional<std::vector<Shape>> output_shapes(const ShapedNode& node, const std::vector<Operand>& operands);

// A convolution's or pool's window on both axes.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, before, after;  // two each: rows, columns
};
// `map` is the (N, C, H, W) that it runs over; resolves auto_pad. Throws Error{kFormat} unless there are two
// axes.
Window window_of(const ShapedNode& node, const Shape& map, const std::vector<int64_t>& kernel);

// The factors by which Resize or Upsample enlarges each axis. Throws Error{kUnsupported} when they are not
// constant.
std::vector<double> resize_factors(const ShapedNode& node, const std::vector<Operand>& operands);

}  // namespace marrow::onnx
