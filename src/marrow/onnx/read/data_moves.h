// Reshapes, transposes and cuts of one value, followed number by number: which number of the source each one
// is. However an exporter writes such a chain, what it does is in the list.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "marrow/onnx/read/shaped_graph.h"

namespace marrow::onnx {

struct MovedData {
  ValueId source;
  std::vector<int64_t> origin;  // of each number, in the source's row-major order
  double factor = 1;            // by which all were multiplied on the way
};

// From `value` back to the first that is no reshape, transpose, squeeze, flatten, split or slice, and no
// product or quotient with one number. Nothing for values of more numbers than an attention may have.
std::optional<MovedData> follow_moves(const ShapedGraph& graph, ValueId value);

}  // namespace marrow::onnx
