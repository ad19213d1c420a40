#include "marrow/nn/blocks/c3k2.h"

#include "marrow/nn/blocks/attention.h"
#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

Value c3k(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options,
          const Activation& activation) {
  return c3_of(g, x, name, options, activation, [&](Value v, const std::string& unit, int channels) {
    return bottleneck(
        g, v, unit, {.out = channels, .shortcut = options.shortcut, .groups = options.groups, .expansion = 1},
        activation);
  });
}

Value c3k2(GraphBuilder& g, Value x, std::string_view name, const CspOptions& options, C3k2Unit unit,
           const Activation& activation) {
  return c2f_of(g, x, name, options, activation, [&](Value v, const std::string& path, int channels) {
    const BottleneckOptions narrow{.out = channels, .shortcut = options.shortcut, .groups = options.groups};
    switch (unit) {
      case C3k2Unit::kC3k:
        return c3k(g, v, path,
                   {.out = channels, .repeats = 2, .shortcut = options.shortcut, .groups = options.groups},
                   activation);
      case C3k2Unit::kAttention: {
        const auto pair = g.scope(path);
        return attention_block(g, bottleneck(g, v, "0", narrow, activation), "1", activation);
      }
      case C3k2Unit::kBottleneck:
        break;
    }
    return bottleneck(g, v, path, narrow, activation);
  });
}

namespace {

C3k2Unit unit_of(const ModuleCall& call) {
  if (call.boolean(3, false)) return C3k2Unit::kAttention;
  return call.boolean(1, false) ? C3k2Unit::kC3k : C3k2Unit::kBottleneck;
}

const ModuleRegistration kC3k2{
    {.name = "C3k2",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .depthwise_class_branch = true,
     .arguments = {"channels", "c3k", "expansion", "attention", "groups", "shortcut"},
     .build =
         [](ModuleCall& call) {
           const CspOptions options{.out = call.positive(0, 0),
                                    .repeats = call.repeats,
                                    .shortcut = call.boolean(5, true),
                                    .groups = call.positive(4, 1),
                                    .expansion = call.number(2, 0.5)};
           return std::vector{c3k2(call.graph, call.input(), "", options, unit_of(call), call.activation)};
         },
     .prepare =
         [](ModuleCall& call) {
           if (call.scale != "m" && call.scale != "l" && call.scale != "x") return;
           while (call.args.size() < 2) call.args.push_back(nullptr);
           call.args[1] = true;
         },
     .silent_modules =
         [](const ModuleCall& call) {
           constexpr int kSilentInAttention = 4;
           return unit_of(call) == C3k2Unit::kAttention ? kSilentInAttention * call.repeats : 0;
         }}};

// C3k as a line of its own.
const ModuleRegistration kC3k{{.name = "C3k",
                               .channels = Module::Channels::kScaled,
                               .takes_repeats = true,
                               .arguments = {"channels", "shortcut", "groups", "expansion"},
                               .build = [](ModuleCall& call) {
                                 const CspOptions options{.out = call.positive(0, 0),
                                                          .repeats = call.repeats,
                                                          .shortcut = call.boolean(1, true),
                                                          .groups = call.positive(2, 1),
                                                          .expansion = call.number(3, 0.5)};
                                 return std::vector{
                                     c3k(call.graph, call.input(), "", options, call.activation)};
                               }}};

}  // namespace
}  // namespace marrow::nn
