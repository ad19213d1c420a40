// How ONNX operators change shapes, for constants and for data alike. All throw Error{kFormat}, without a
// node's name, for what does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "marrow/onnx/read/shaped_graph.h"

namespace marrow::onnx {

// An axis from -rank to rank - 1 as 0 to rank - 1. Throws Error{kFormat}.
size_t checked_axis(int64_t axis, size_t rank);
// The integers of a one-dimensional constant or a scalar. Throws Error{kFormat}.
std::vector<int64_t> integers_of(const Tensor& tensor);
// The shape of both broadcast to each other. Throws Error{kFormat}.
Shape broadcast(const Shape& a, const Shape& b);

// What a Slice takes along one axis of `size` elements.
struct SliceRange {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t step = 1;
};
// One for every axis. Starts, ends, axes and steps come from attributes up to opset 9, then from constant
// inputs; nothing when one of these is not constant.
std::optional<std::vector<SliceRange>> slice_ranges(const ShapedNode& node, const Shape& shape,
                                                    const std::vector<const Tensor*>& inputs);

// What Reshape makes of `shape`: 0 keeps a dimension (unless `allow_zero`), one -1 takes what is left.
Shape reshaped(const Shape& shape, const std::vector<int64_t>& target, bool allow_zero);
// What Squeeze and Unsqueeze make; no axes: all of size 1.
Shape squeezed(const Shape& shape, const std::vector<int64_t>& axes);
Shape unsqueezed(const Shape& shape, const std::vector<int64_t>& axes);
// Axes come as an attribute or, since opset 13, as the second input. Nothing when that input is not constant.
std::optional<std::vector<int64_t>> axes_of(const ShapedNode& node, const std::vector<const Tensor*>& inputs);

}  // namespace marrow::onnx
