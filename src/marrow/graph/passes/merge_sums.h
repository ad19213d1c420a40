// Merges the sum of two convolutions of one input into one: the smaller kernel is added into the larger one.
//
//   W1 * x + b1 + W2 * x + b2 = (W1 + W2) * x + (b1 + b2)
//
// In double precision, and only where strides, groups and output sizes are equal and the smaller kernel lies
// within the larger one, so that multiply-adds fall; where nothing else reads either convolution (another
// node, an output or a tap), or names its weights. The merged convolution has the larger one's name. Sums of
// several become one. Source: RepVGG, Ding et al. 2021, section 3.3.
#pragma once

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

GraphWithWeights merge_sums(const GraphWithWeights& source);

}  // namespace marrow::passes
