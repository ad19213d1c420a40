// Removes what only training needs: dropout, drop path, and leaky ReLUs whose slope is exactly 1.
//
//   dropout, drop path          x                       the identity in inference
//   leaky ReLU, slope 1         max(x, 0) + min(x, 0) = x
//   dropout that scales in inference (rate r) before a linear layer:
//                               W ((1 - r) x) + b = ((1 - r) W) x + b
// The last stays a node where a linear layer is not its only reader.
#pragma once

#include "passes/pass.h"

namespace marrow {

GraphWithWeights strip_training(const GraphWithWeights& source);

}  // namespace marrow
