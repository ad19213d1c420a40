// What the losses need of a graph's detection head.
#pragma once

#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::loss {

// Both throw Error{kModel} when the graph has none.
const DetectDecode& detection_head(const Graph& graph);
// Its raw maps, one a level.
std::vector<Value> detection_maps(const Graph& graph);
// The maps of its extra, likewise; empty where it has none.
std::vector<Value> extra_maps(const Graph& graph);
// Those of an end-to-end head's second pair of branches. Throws Error{kModel} where there is none.
std::vector<Value> second_detection_maps(const Graph& graph);

}  // namespace marrow::loss
