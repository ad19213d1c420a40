// Files in which batch norms were already folded into the convolutions before them.
#pragma once

#include "marrow/graph/graph.h"

namespace marrow::model {

// A batch norm's parameters, which a folded file lacks.
constexpr bool is_unfused_norm(ParameterRole role) {
  return role == ParameterRole::kNormWeight || role == ParameterRole::kNormBias ||
         role == ParameterRole::kRunningMean || role == ParameterRole::kRunningVar;
}

// Where `state` has a bias for a convolution that has none in `graph`, and nothing for the batch norm behind
// it, gives that batch norm values with which it only adds the bias: scale 1, mean 0, variance 1 - eps.
// Everything else is passed on.
Weights unfuse(const Graph& graph, const Weights& state);

}  // namespace marrow::model
