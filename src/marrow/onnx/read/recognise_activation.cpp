// Activations: operators of their own, and the groups of operators that exporters write for them.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/onnx/read/recognise.h"

namespace marrow::onnx {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool near(double a, double b) {
  return std::abs(a - b) <= 1e-3 * std::max(1e-3, std::abs(b));  // constants may have been float16
}

class ActivationRecogniser {
 public:
  ActivationRecogniser(const ShapedGraph& graph, const ShapedNode& node) : graph_(graph), node_(node) {}

  // The activation and what it is applied to.
  struct Found {
    Activation activation;
    ValueId input;
  };

  std::optional<Found> run() const {
    if (const auto found = single()) return found;
    if (const auto found = limited()) return found;
    if (const auto gate = hard_gate(output())) return Found{{ActivationKind::kHardSigmoid}, *gate};
    if (node_.is("Mul")) return product();
    return scaled_hard_swish();
  }

 private:
  ValueId output() const { return node_.outputs.at(0); }

  // Operators that are an activation by themselves.
  std::optional<Found> single() const {
    const auto found = [&](ActivationKind kind, double slope = 0.01) {
      return Found{{kind, slope, {}}, node_.input(0)};
    };
    if (node_.is("Relu")) return found(ActivationKind::kRelu);
    if (node_.is("Sigmoid")) return found(ActivationKind::kSigmoid);
    if (node_.is("Tanh")) return found(ActivationKind::kTanh);
    if (node_.is("HardSwish")) return found(ActivationKind::kHardSwish);
    if (node_.is("Mish")) return found(ActivationKind::kMish);
    if (node_.is("LeakyRelu")) return found(ActivationKind::kLeakyRelu, node_.real("alpha", 0.01));
    if (node_.is("Elu")) return found(ActivationKind::kElu, node_.real("alpha", 1));
    if (node_.is("PRelu"))
      if (const auto slope = graph_.scalar(node_.input(1))) return found(ActivationKind::kLeakyRelu, *slope);
    if (node_.is("Gelu") && node_.text("approximate", "none") == "none") return found(ActivationKind::kGelu);
    if (node_.is("HardSigmoid") && is_hard_sigmoid(node_, 0.5)) return found(ActivationKind::kHardSigmoid);
    return std::nullopt;
  }

  // min(max(x / 6 + shift, 0), 1)
  static bool is_hard_sigmoid(const ShapedNode& node, double shift) {
    return near(node.real("alpha", 0.2), 1.0 / 6) && std::abs(node.real("beta", 0.5) - shift) < 1e-4;
  }

  // v = min(max(x, low), high).
  struct Limits {
    ValueId x;
    double low = -kInfinity, high = kInfinity;
  };
  std::optional<Limits> limits_of(ValueId v) const {
    const ShapedNode* node = graph_.producer(v);
    if (node == nullptr) return std::nullopt;
    if (node->is("Relu")) return Limits{node->input(0), 0, kInfinity};
    if (node->is("Clip")) {
      Limits limits{node->input(0), node->real("min", -kInfinity), node->real("max", kInfinity)};
      for (size_t i = 1; i < node->inputs.size(); ++i) {
        if (node->inputs[i].id < 0) continue;
        const auto limit = graph_.scalar(node->inputs[i]);
        if (!limit) return std::nullopt;
        (i == 1 ? limits.low : limits.high) = *limit;
      }
      return limits;
    }
    if (!node->is("Min") && !node->is("Max")) return std::nullopt;
    const auto pair = with_constant(*node);
    if (!pair) return std::nullopt;
    Limits limits = limits_of_inner(pair->first, node->is("Min"));
    (node->is("Min") ? limits.high : limits.low) = pair->second;
    return limits;
  }
  // Under a Min may stand a Relu or a Max, under a Max a Min.
  Limits limits_of_inner(ValueId v, bool under_min) const {
    const ShapedNode* node = graph_.producer(v);
    if (node != nullptr && under_min && node->is("Relu")) return {node->input(0), 0, kInfinity};
    if (node != nullptr && node->is(under_min ? "Max" : "Min"))
      if (const auto pair = with_constant(*node))
        return under_min ? Limits{pair->first, pair->second, kInfinity}
                         : Limits{pair->first, -kInfinity, pair->second};
    return {v};
  }

  std::optional<Found> limited() const {
    const auto limits = limits_of(output());
    if (limits && limits->low == 0 && limits->high == 6 && !shifted_by_three(limits->x))
      return Found{{ActivationKind::kRelu6}, limits->x};
    if (limits && limits->low == 0 && limits->high == kInfinity)
      return Found{{ActivationKind::kRelu}, limits->x};
    const auto six = scaled(output());
    if (six && near(six->factor, 6))
      if (const ShapedNode* inner = graph_.producer(six->x, "HardSigmoid");
          inner != nullptr && is_hard_sigmoid(*inner, 0))
        return Found{{ActivationKind::kRelu6}, inner->input(0)};
    return std::nullopt;
  }

  // The data and the constant of a node with one of each.
  std::optional<std::pair<ValueId, double>> with_constant(const ShapedNode& node) const {
    if (node.inputs.size() != 2) return std::nullopt;
    for (const size_t i : {0, 1})
      if (const auto constant = graph_.scalar(node.inputs[i]);
          constant && graph_.constant(node.inputs[1 - i]) == nullptr)
        return std::pair{node.inputs[1 - i], *constant};
    return std::nullopt;
  }

  // v = factor * x.
  struct Scaled {
    ValueId x;
    double factor = 1;
  };
  std::optional<Scaled> scaled(ValueId v) const {
    const ShapedNode* node = graph_.producer(v);
    if (node == nullptr) return std::nullopt;
    if (node->is("Mul"))
      if (const auto pair = with_constant(*node)) return Scaled{pair->first, pair->second};
    if (node->is("Div"))
      if (const auto divisor = graph_.scalar(node->input(1)); divisor && *divisor != 0)
        return Scaled{node->input(0), 1 / *divisor};
    return std::nullopt;
  }

  // v = x + 3: x.
  std::optional<ValueId> shifted_by_three(ValueId v) const {
    const ShapedNode* node = graph_.producer(v, "Add");
    if (node == nullptr) return std::nullopt;
    const auto pair = with_constant(*node);
    return pair && near(pair->second, 3) ? std::optional(pair->first) : std::nullopt;
  }

  // v = min(max(x + 3, 0), 6): x.
  std::optional<ValueId> six_gate(ValueId v) const {
    const auto limits = limits_of(v);
    if (!limits || limits->low != 0 || limits->high != 6) return std::nullopt;
    return shifted_by_three(limits->x);
  }

  // v = the hard sigmoid of x: x.
  std::optional<ValueId> hard_gate(ValueId v) const {
    const ShapedNode* node = graph_.producer(v);
    if (node != nullptr && node->is("HardSigmoid") && is_hard_sigmoid(*node, 0.5)) return node->input(0);
    const auto parts = scaled(v);
    return parts && near(parts->factor, 1.0 / 6) ? six_gate(parts->x) : std::nullopt;
  }

  // x times something of x: SiLU, hard-swish, Mish; and GELU.
  std::optional<Found> product() const {
    for (const size_t i : {0, 1}) {
      const ValueId x = node_.input(i), factor = node_.input(1 - i);
      const ShapedNode* gate = graph_.producer(factor);
      if (gate == nullptr) continue;
      if (gate->is("Sigmoid") && gate->input(0) == x) return Found{{ActivationKind::kSilu}, x};
      if (hard_gate(factor) == x) return Found{{ActivationKind::kHardSwish}, x};
      if (gate->is("Tanh"))
        if (const ShapedNode* softplus = graph_.producer(gate->input(0), "Softplus");
            softplus != nullptr && softplus->input(0) == x)
          return Found{{ActivationKind::kMish}, x};
      if (const auto gelu = gelu_of(x, factor)) return gelu;
    }
    if (const auto swish = scaled_hard_swish()) return swish;
    return scaled_gelu();
  }

  // 1 + erf(x / sqrt 2): x.
  std::optional<ValueId> error_gate(ValueId v) const {
    const ShapedNode* sum = graph_.producer(v, "Add");
    if (sum == nullptr) return std::nullopt;
    const auto pair = with_constant(*sum);
    const ShapedNode* error = pair && near(pair->second, 1) ? graph_.producer(pair->first, "Erf") : nullptr;
    if (error == nullptr) return std::nullopt;
    const auto inner = scaled(error->input(0));
    return inner && near(inner->factor, 1 / std::sqrt(2.0)) ? std::optional(inner->x) : std::nullopt;
  }

  // x * (0.5 (1 + erf)) or (0.5 x) * (1 + erf).
  std::optional<Found> gelu_of(ValueId left, ValueId right) const {
    if (const auto half = scaled(right); half && near(half->factor, 0.5) && error_gate(half->x) == left)
      return Found{{ActivationKind::kGelu}, left};
    if (const auto half = scaled(left); half && near(half->factor, 0.5) && error_gate(right) == half->x)
      return Found{{ActivationKind::kGelu}, half->x};
    return std::nullopt;
  }

  // 0.5 (x (1 + erf))
  std::optional<Found> scaled_gelu() const {
    const auto half = scaled(output());
    const ShapedNode* inner = half && near(half->factor, 0.5) ? graph_.producer(half->x, "Mul") : nullptr;
    if (inner == nullptr || inner->inputs.size() != 2) return std::nullopt;
    for (const size_t i : {0, 1})
      if (error_gate(inner->inputs[1 - i]) == inner->inputs[i])
        return Found{{ActivationKind::kGelu}, inner->inputs[i]};
    return std::nullopt;
  }

  // (x * min(max(x + 3, 0), 6)) / 6
  std::optional<Found> scaled_hard_swish() const {
    const auto sixth = scaled(output());
    const ShapedNode* inner =
        sixth && near(sixth->factor, 1.0 / 6) ? graph_.producer(sixth->x, "Mul") : nullptr;
    if (inner == nullptr || inner->inputs.size() != 2) return std::nullopt;
    for (const size_t i : {0, 1})
      if (six_gate(inner->inputs[1 - i]) == inner->inputs[i])
        return Found{{ActivationKind::kHardSwish}, inner->inputs[i]};
    return std::nullopt;
  }

  const ShapedGraph& graph_;
  const ShapedNode& node_;
};

}  // namespace

std::optional<Plan> recognise_activation(const ShapedGraph& graph, const ShapedNode& node, bool as_map) {
  const auto found = ActivationRecogniser(graph, node).run();
  if (!found || found->input.id < 0) return std::nullopt;
  return Plan{{{found->input, as_map}},
              [activation = found->activation](Building& b, const std::vector<Value>& in) {
                return b.graph.activation(in[0], activation);
              }};
}

}  // namespace marrow::onnx
