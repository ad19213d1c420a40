// What convolutions, transposed convolutions and linear layers share: out = W in + b, channel by channel.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "marrow/graph/passes/pass.h"

namespace marrow::passes {

struct LinearLayer {
  std::string weight;
  std::string bias;     // empty when there is none
  size_t out_axis = 0;  // of the weight
};

std::optional<LinearLayer> linear_layer(const Operation& operation);

// Whether the layer alone names its parameters, so that they may change.
bool has_private_parameters(const GraphRewriter& rewrite, const LinearLayer& layer);

// The layer's bias in the new weights; zeros where it has none.
Tensor bias_or_zeros(const GraphRewriter& rewrite, const LinearLayer& layer, int channels);

// Gives the layer `operation` this bias: in place of its own, or as a new parameter beside its weight.
Operation with_bias(GraphRewriter& rewrite, Operation operation, Tensor bias);

// A layer of the new graph, `node`, made to yield scale * out + shift, per channel, and appended as a new
// node; the old one falls away when nothing else reads it. REQUIRES: private parameters.
Value append_scaled(GraphRewriter& rewrite, Node node, std::span<const double> scale,
                    std::span<const double> shift);

}  // namespace marrow::passes
