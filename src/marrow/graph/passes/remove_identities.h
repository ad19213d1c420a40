// Removes nodes that yield what they read, whatever it is:
//
//   leaky ReLU, slope exactly 1     max(x, 0) + min(x, 0) = x; the slope may be a named scalar of the weights
//   slice of all channels, concat of one value, shuffle into one group or into groups of one channel,
//   upsample by 1, max pool 1x1 of stride 1
#pragma once

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

GraphWithWeights remove_identities(const GraphWithWeights& source);

}  // namespace marrow::passes
