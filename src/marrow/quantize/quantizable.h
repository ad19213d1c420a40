// Which layers of a network can compute with bytes, and which maps must then share a scale. The graph is a
// deployed one.
#pragma once

#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::quantize {

// Dense convolutions, without those that read the image, those whose outputs are the network's (boxes and
// scores need more than 256 steps), and those on pooled vectors, where there is nothing to gain.
std::vector<Value> quantizable_layers(const Graph& graph);

// By value, a number that maps share when one is moved into the other: members of a concatenation, what a max
// pool, an upsampling, a slice or a shuffle reads and writes. -1: no convolution of `layers` reads the map,
// itself or moved.
std::vector<int> scale_groups(const Graph& graph, const std::vector<Value>& layers);

// Whether the operation only moves numbers, so that its inputs and its output have one scale.
bool moves_numbers(const Operation& operation);

}  // namespace marrow::quantize
