#include "marrow/nn/blocks/csp.h"

#include <string>

#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

BottleneckOptions inner(int channels, int kernel1, const CspOptions& options) {
  return {.out = channels,
          .shortcut = options.shortcut,
          .groups = options.groups,
          .kernel1 = kernel1,
          .kernel2 = 3,
          .expansion = 1.0};
}

std::string item(int index) {
  return "m." + std::to_string(index);
}

}  // namespace

Value c2f_of(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
             const Activation& activation, const CspUnit& unit) {
  const auto scope = g.scope(name);
  const int hidden = expanded(options.out, options.expansion);
  const Value both = conv_unit(g, x, "cv1", {.out = 2 * hidden}, activation);
  std::vector<Value> parts = {g.slice(both, 0, hidden), g.slice(both, hidden, 2 * hidden)};
  for (int i = 0; i < options.repeats; ++i) parts.push_back(unit(parts.back(), item(i), hidden));
  return conv_unit(g, g.concat(parts), "cv2", {.out = options.out}, activation);
}

Value c3_of(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
            const Activation& activation, const CspUnit& unit) {
  const auto scope = g.scope(name);
  const int hidden = expanded(options.out, options.expansion);
  Value inside = conv_unit(g, x, "cv1", {.out = hidden}, activation);
  const Value around = conv_unit(g, x, "cv2", {.out = hidden}, activation);
  for (int i = 0; i < options.repeats; ++i) inside = unit(inside, item(i), hidden);
  return conv_unit(g, g.concat({inside, around}), "cv3", {.out = options.out}, activation);
}

Value c2f(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
          const Activation& activation) {
  return c2f_of(g, x, name, options, activation, [&](Value v, const std::string& unit, int channels) {
    return bottleneck(g, v, unit, inner(channels, 3, options), activation);
  });
}

Value c2(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
         const Activation& activation) {
  const auto scope = g.scope(name);
  const int hidden = expanded(options.out, options.expansion);
  const Value both = conv_unit(g, x, "cv1", {.out = 2 * hidden}, activation);
  Value inside = g.slice(both, 0, hidden);
  const Value around = g.slice(both, hidden, 2 * hidden);
  for (int i = 0; i < options.repeats; ++i)
    inside = bottleneck(g, inside, item(i), inner(hidden, 3, options), activation);
  return conv_unit(g, g.concat({inside, around}), "cv2", {.out = options.out}, activation);
}

Value c3(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
         const Activation& activation) {
  return c3_of(g, x, name, options, activation, [&](Value v, const std::string& unit, int channels) {
    return bottleneck(g, v, unit, inner(channels, 1, options), activation);
  });
}

Value c3_ghost(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
               const Activation& activation) {
  return c3_of(g, x, name, options, activation, [&](Value v, const std::string& unit, int channels) {
    return ghost_bottleneck(g, v, unit, channels, 3, 1, activation);
  });
}

namespace {

using Block = Value (*)(GraphBuilder&, Value, std::string_view, const CspOptions&, const Activation&);

Module csp_module(std::string name, Block block, bool default_shortcut) {
  return {.name = std::move(name),
          .channels = Module::Channels::kScaled,
          .takes_repeats = true,
          .arguments = {"channels", "shortcut", "groups", "expansion"},
          .build = [block, default_shortcut](ModuleCall& call) {
            const CspOptions options{.out = call.positive(0, 0),
                                     .repeats = call.repeats,
                                     .shortcut = call.boolean(1, default_shortcut),
                                     .groups = call.positive(2, 1),
                                     .expansion = call.number(3, 0.5)};
            return std::vector{block(call.graph, call.input(), "", options, call.activation)};
          }};
}

Module c3_ghost_module() {
  Module module = csp_module("C3Ghost", c3_ghost, true);
  // In each ghost bottleneck: two identities and two units without activation.
  module.silent_modules = [](const ModuleCall& call) { return 4 * call.repeats; };
  return module;
}

const ModuleRegistration kC2f{csp_module("C2f", c2f, false)};
const ModuleRegistration kC2{csp_module("C2", c2, true)};
const ModuleRegistration kC3{csp_module("C3", c3, true)};
const ModuleRegistration kC3Ghost{c3_ghost_module()};

}  // namespace
}  // namespace marrow::nn
