// Removes what only training needs: dropout and drop path, the identity in inference.
//
// Dropout that scales in inference (rate r) before a linear layer, with or without a flatten between, goes
// into the layer's weights:
//   W ((1 - r) x) + b = ((1 - r) W) x + b
// It stays a node where a linear layer is not its only reader.
#pragma once

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

GraphWithWeights strip_training(const GraphWithWeights& source);

}  // namespace marrow::passes
