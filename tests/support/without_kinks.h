// Networks whose gradients are smooth in their input and weights.
#pragma once

#include <string>
#include <variant>

#include "marrow/graph/graph.h"

namespace marrow::testing {

// Two roundings of one number may lie on two sides of a kink, or of a tie between the largest: there the
// gradient goes elsewhere. So activations become smooth ones, and maxima means, whose weights are trained.
inline Graph without_kinks(Graph graph) {
  for (Node& node : graph.nodes) {
    if (auto* op = std::get_if<Activation>(&node.operation)) {
      switch (op->kind) {
        case ActivationKind::kRelu:
        case ActivationKind::kRelu6:
        case ActivationKind::kLeakyRelu:
          *op = {ActivationKind::kElu, 1, {}};
          break;
        case ActivationKind::kHardSwish:
          *op = {ActivationKind::kSilu, 0, {}};
          break;
        case ActivationKind::kHardSigmoid:
          *op = {ActivationKind::kSigmoid, 0, {}};
          break;
        default:
          break;
      }
    } else if (const auto* pool = std::get_if<MaxPool>(&node.operation)) {
      const auto [kernel, stride, padding] = *pool;
      const std::string weight = "mean" + std::to_string(graph.parameters.size());
      graph.parameters.push_back({weight,
                                  {node.channels, 1, kernel, kernel},
                                  ParameterRole::kWeight,
                                  Init::constant(1.0 / (kernel * kernel))});
      node.operation = Conv{.out_channels = node.channels,
                            .kernel = kernel,
                            .stride = stride,
                            .groups = node.channels,
                            .padding = {padding, padding},
                            .weight = weight};
    }
  }
  verify(graph);
  return graph;
}

}  // namespace marrow::testing
