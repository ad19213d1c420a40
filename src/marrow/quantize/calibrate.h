// Scales of a network's maps, from images it runs on.
#pragma once

#include <span>

#include "marrow/graph/passes/pass.h"
#include "marrow/quantize/byte_range.h"

namespace marrow::quantize {

// `model`'s graph with a scale (Node::byte_scale) for every map that a quantizable layer reads, itself or
// moved; no layer is int8 yet. The graph is a deployed one without named slopes. Runs it twice on each input
// in float32, on the CPU engine. REQUIRES: inputs of one shape, at least one.
Graph calibrate(const passes::GraphWithWeights& model, std::span<const Tensor> inputs, RangeRule rule,
                int threads = 0);

}  // namespace marrow::quantize
