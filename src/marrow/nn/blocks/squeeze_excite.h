// Squeeze-and-excitation: a gate per channel from the map's own averages.
#pragma once

#include <optional>
#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

struct SqueezeExcite {
  int hidden = 0;
  ActivationKind activation = ActivationKind::kRelu;
  ActivationKind gate = ActivationKind::kSigmoid;
  std::string_view reduce = "fc1";  // names of the two convolutions
  std::string_view expand = "fc2";
  std::optional<Init> weight_init = {};
  std::optional<Init> bias_init = {};
};

// (N, C, H, W) -> the same: x * gate(expand(activation(reduce(mean over H, W of x)))), where reduce and
// expand are 1x1 convolutions with bias, C -> hidden -> C. Source: Hu et al. 2018, arXiv:1709.01507.
Value squeeze_excite(GraphBuilder& g, Value x, const SqueezeExcite& options);

}  // namespace marrow::nn
