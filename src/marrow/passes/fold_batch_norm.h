// Folds a batch norm into the convolution, transposed convolution or linear layer before it:
//
//   s = gamma / sqrt(var + eps)
//   s (W x + b - mean) + beta = (s W) x + (s (b - mean) + beta)        per output channel, in double
//   precision
//
// It declines where something else reads the raw convolution (another node, an output or a tap) or shares its
// weights. A tap or output on the batch norm moves to the convolution, which then equals it.
#pragma once

#include "passes/pass.h"

namespace marrow {

GraphWithWeights fold_batch_norm(const GraphWithWeights& source);

}  // namespace marrow
