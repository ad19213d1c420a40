#include "marrow/graph/passes/remove_identities.h"

#include <fmt/format.h>

namespace marrow::passes {
namespace {

double slope_of(const GraphRewriter& rewrite, const Activation& activation) {
  const Weights& weights = rewrite.source().weights;
  const auto named = weights.find(activation.slope_name);  // optional in files
  return named == weights.end() ? activation.slope : named->second.to_float().values()[0];
}

bool matches(const GraphRewriter& rewrite, Value value) {
  const Node& node = rewrite.source().graph.node(value);
  return std::visit(
      Overloaded{
          [&](const Activation& op) {
            if (op.kind == ActivationKind::kIdentity) return true;
            if (op.kind != ActivationKind::kLeakyRelu) return false;
            const double slope = slope_of(rewrite, op);
            if (slope != 1 && !op.slope_name.empty())
              rewrite.decline(value, fmt::format("its slope '{}' is {}; at 1 it would be the "
                                                 "identity",
                                                 op.slope_name, slope));
            return slope == 1;
          },
          [&](const Slice&) { return node.channels == rewrite.source().graph.node(node.inputs[0]).channels; },
          [&](const Concat&) { return node.inputs.size() == 1; },
          [&](const ChannelShuffle& op) { return op.groups == 1 || op.groups == node.channels; },
          [&](const Upsample& op) { return op.factor == 1; },
          [&](const MaxPool& op) { return op.kernel == 1 && op.stride == 1 && op.padding == 0; },
          [&](const auto&) { return false; },
      },
      node.operation);
}

}  // namespace

GraphWithWeights remove_identities(const GraphWithWeights& source) {
  GraphRewriter rewrite(source, "remove_identities");
  for (const Value value : rewrite.values()) {
    if (matches(rewrite, value))
      rewrite.bypass(value);
    else
      rewrite.copy(value);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow::passes
