// A graph as JSON, for models that no YAML describes: deployed ones, and those from other programs.
//
//   {"channels": 3,
//    "nodes": [{"op": "conv", "name": "model.0.conv", "in": [0], "out": 16, "kernel": 3, ...}, ...],
//    "outputs": [["output0", 141]], "taps": [["feat0", 96], ...]}
//
// Values are numbered: 0 is the input, n the node before which n - 1 others stand. What follows from that is
// not stored: channels and strides, and the parameters, which are NAME.weight, NAME.bias and so on in the
// shapes that the operations want. docs/formats/checkpoint.md lists the operations.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "marrow/graph/graph.h"

namespace marrow::model {

// Throws Error{kUnsupported} for a graph whose parameters are not named after their nodes or are shared, and
// for one with a named slope.
nlohmann::json graph_to_json(const Graph& graph);

// Builds the graph again with GraphBuilder, which checks that everything meets, under the limits of
// model/spec.h. Throws Error{kFormat} or {kShape} naming the node, and nlohmann's exceptions where a value
// has another type.
Graph graph_from_json(const nlohmann::json& stored, const InputFormat& format);

}  // namespace marrow::model
