// Shape inference: what every node yields for a given input, and helpers that executors share.
#pragma once

#include <span>
#include <vector>

#include "marrow/graph/graph.h"

namespace marrow {

// The shape of every node's output for an input of shape (N, C, H, W), indexed as Graph::nodes. Throws
// Error{kShape} naming the node where shapes do not meet, where a map would become empty, or where the
// input's channels are not the graph's.
std::vector<Shape> infer_shapes(const Graph& graph, const Shape& input);

// Padding on one axis of size n as two concrete numbers; resolves TensorFlow SAME.
Padding resolve_padding(const Padding& padding, int64_t n, int kernel, int stride, int dilation);

// The nodes needed to compute `targets`, in order, where `given` are known. true = needed.
std::vector<bool> reachable(const Graph& graph, std::span<const Value> targets,
                            std::span<const Value> given = {});

}  // namespace marrow
