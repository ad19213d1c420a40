// The user's dropout in a classifier.
#pragma once

#include "marrow/model/model.h"

namespace marrow::train {

// Sets dropout before the last layer to `rate`: that of the node which is there, or of a new one in front of
// the linear layer that makes the logits; in a network without one (VanillaNet) behind its global pooling,
// where its authors have it. Neither inference nor any parameter changes. Throws Error{kUsage} for a graph
// without logits, and for Paddle's kind of dropout, whose rate is part of the published network.
void set_dropout(model::Model& model, double rate);

}  // namespace marrow::train
