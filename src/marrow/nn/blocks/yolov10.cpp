#include "marrow/nn/blocks/yolov10.h"

#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/csp.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

Value separable_down(GraphBuilder& g, Value x, std::string_view name, int out, int kernel, int stride,
                     const Activation& activation) {
  const auto scope = g.scope(name);
  x = conv_unit(g, x, "cv1", {.out = out}, activation);
  return conv_unit(g, x, "cv2", {.out = out, .kernel = kernel, .stride = stride, .groups = out},
                   kNoActivation);
}

Value large_kernel_depthwise(GraphBuilder& g, Value x, std::string_view name, const Activation& activation) {
  const auto scope = g.scope(name);
  const int channels = g.channels(x);
  const Value wide =
      conv_unit(g, x, "conv", {.out = channels, .kernel = 7, .groups = channels}, kNoActivation);
  const Value narrow =
      conv_unit(g, x, "conv1", {.out = channels, .kernel = 3, .groups = channels}, kNoActivation);
  return g.activation(g.add(wide, narrow), g.unit_activation(activation));
}

Value compact_inverted_block(GraphBuilder& g, Value x, std::string_view name, const CibOptions& options,
                             const Activation& activation) {
  const auto scope = g.scope(name);
  const int hidden = 2 * expanded(options.out, options.expansion);
  const auto depthwise = [&](Value v, std::string_view unit) {
    return depthwise_unit(g, v, unit, {.out = g.channels(v), .kernel = 3}, activation);
  };
  Value y = depthwise(x, "cv1.0");
  y = conv_unit(g, y, "cv1.1", {.out = hidden}, activation);
  y = options.large_kernel ? large_kernel_depthwise(g, y, "cv1.2", activation) : depthwise(y, "cv1.2");
  y = conv_unit(g, y, "cv1.3", {.out = options.out}, activation);
  y = depthwise(y, "cv1.4");
  return options.shortcut && g.channels(x) == options.out ? g.add(x, y) : y;
}

namespace {

const ModuleRegistration kSeparableDown{
    {.name = "SCDown",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride"},
     .build =
         [](ModuleCall& call) {
           return std::vector{separable_down(call.graph, call.input(), "", call.positive(0, 0),
                                             call.positive(1, 3, kMaxKernel), call.positive(2, 2, kMaxKernel),
                                             call.activation)};
         },
     .silent_modules = [](const ModuleCall&) { return 1; }}};

const ModuleRegistration kCompactCsp{
    {.name = "C2fCIB",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .depthwise_class_branch = true,
     .arguments = {"channels", "shortcut", "large_kernel", "groups", "expansion"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           if (call.positive(3, 1) != 1) call.refuse(3, "1: these blocks have no other groups");
           const CspOptions options{
               .out = call.positive(0, 0), .repeats = call.repeats, .expansion = call.number(4, 0.5)};
           return std::vector{c2f_of(g, call.input(), "", options, call.activation,
                                     [&](Value x, const std::string& name, int channels) {
                                       return compact_inverted_block(g, x, name,
                                                                     {.out = channels,
                                                                      .shortcut = call.boolean(1, false),
                                                                      .large_kernel = call.boolean(2, false),
                                                                      .expansion = 1},
                                                                     call.activation);
                                     })};
         },
     // Of a large kernel: two units without activation, and an activation of its own.
     .silent_modules = [](const ModuleCall& call) { return call.boolean(2, false) ? 3 * call.repeats : 0; }}};

}  // namespace
}  // namespace marrow::nn
