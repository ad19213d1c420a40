// Folds batch norms, y = s x + t with s = gamma / sqrt(var + eps) and t = beta - s mean, into a convolution,
// transposed convolution or linear layer before them, or into a convolution or linear layer behind. In double
// precision, per channel:
//
//   after a layer    s (W x + b) + t = (s W) x + (s b + t)
//   after a concat   each of its inputs that is a layer takes its own channels of s and t
//   before a layer W (s x + t) + b = (W s) x + (W t + b), also where global pooling or a flatten stand
//   between
//
// Zeros that a convolution's padding adds are not shifted, so before a padded one the last form holds only
// where t is 0. It declines where something else reads what would change (another node, an output or a tap)
// or names the layer's parameters, and where one input of a concat cannot take its part. A tap or output on a
// batch norm that follows a layer moves to the layer, which then equals it.
#pragma once

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

GraphWithWeights fold_batch_norm(const GraphWithWeights& source);

}  // namespace marrow::passes
