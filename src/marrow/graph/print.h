// Graphs for readers: a listing, and Graphviz. Both show everything that tells two nodes apart.
#pragma once

#include <span>
#include <string>

#include "marrow/graph/graph.h"

namespace marrow {

// A line a node, with the shape of each output where `shapes` (infer_shapes()) has them, then a line for each
// parameter it reads, and at the end what the outputs and taps are:
//   %1    conv 3x3/2 padding 1 -> 16   <- %0   16 channels, stride 2   model.0.conv   (1, 16, 160, 160)
//           weight model.0.conv.weight (16, 3, 3, 3)
std::string to_string(const Graph& graph, std::span<const Shape> shapes);

// The same as a directed graph in the language of Graphviz: `dot -Tsvg`.
std::string to_dot(const Graph& graph, std::span<const Shape> shapes = {});

}  // namespace marrow
