// Merges two convolutions, or two linear layers, with nothing between them into one:
//
//   W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)
//
//   1x1 after k x k:  out[o, i, y, x] = sum_m W2[o, m] W1[m, i, y, x]; the second may have a stride
//   k x k after 1x1:  out[o, i, y, x] = sum_m W2[o, m, y, x] W1[m, i]; the first has no stride
//
// In double precision, and only
// - where padding lets the shift through: zeros that the second adds would be W1 0 + b1 in the merged one, so
// the
//   second is not padded, or (k x k after 1x1) b1 is absent or 0;
// - where the multiply-adds do not rise, counted for one output pixel;
// - between ungrouped convolutions: a depthwise one would become a dense k x k;
// - where nothing else reads what lies between (another node, an output or a tap), or names the weights.
// The merged layer has the second's name. A chain becomes one layer.
#pragma once

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

// On so many threads, 0: available_threads().
GraphWithWeights merge_linear(const GraphWithWeights& source, int threads);

}  // namespace marrow::passes
