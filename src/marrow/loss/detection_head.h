// What the losses need of a graph's detection head.
#pragma once

#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::loss {

// Both throw Error{kModel} when the graph has none.
const DetectDecode& detection_head(const Graph& graph);
// Its raw maps, one a level.
std::vector<Value> detection_maps(const Graph& graph);

}  // namespace marrow::loss
