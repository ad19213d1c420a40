#pragma once

#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::model {

// Multiply-adds of a convolution, a linear layer or the two products of an attention for one image; 0 for
// everything else, and for averages and copies that are computed as convolutions. `shapes` are those of
// infer_shapes for batch 1.
int64_t node_macs(const Graph& graph, const Node& node, const std::vector<Shape>& shapes, const Shape& out);

}  // namespace marrow::model
