// Operators on constants: what exporters compute shapes and anchors with.
#pragma once

#include <optional>
#include <vector>

#include "marrow/onnx/read/shaped_graph.h"

namespace marrow::onnx {

// Folded constants are small (anchors of a large image have 100,000 elements); a hostile file's must stay
// so.
inline constexpr int64_t kMaxFoldedElements = 16'000'000;

// Float32 for floating types, int64 for integers and booleans.
Tensor normalised_constant(const Tensor& stored);

// The node's only output, from inputs that are all constant (nullptr: left out). Nothing when the operator is
// none of those that are folded. Throws Error{kFormat}, without the node's name, for operands that do not
// fit.
std::optional<Tensor> fold(const ShapedNode& node, const std::vector<const Tensor*>& inputs);

}  // namespace marrow::onnx
