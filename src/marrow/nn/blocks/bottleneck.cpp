#include "marrow/nn/blocks/bottleneck.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

int expanded(int channels, double ratio) {
  const double hidden = channels * ratio;
  if (!(hidden >= 1) || hidden > kMaxArgument)
    throw Error(ErrorKind::kModel,
                fmt::format("an expansion of {} turns {} channels into {}", ratio, channels, hidden));
  return static_cast<int>(hidden);
}

Value bottleneck(GraphBuilder& g, Value x, std::string_view name, const BottleneckOptions& options,
                 const Activation& activation) {
  const auto scope = g.scope(name);
  const int hidden = expanded(options.out, options.expansion);
  const Value narrow = conv_unit(g, x, "cv1", {.out = hidden, .kernel = options.kernel1}, activation);
  const Value wide =
      conv_unit(g, narrow, "cv2", {.out = options.out, .kernel = options.kernel2, .groups = options.groups},
                activation);
  return options.shortcut && g.channels(x) == options.out ? g.add(x, wide) : wide;
}

Value ghost_bottleneck(GraphBuilder& g, Value x, std::string_view name, int out, int kernel, int stride,
                       const Activation& activation) {
  if (stride == 1 && g.channels(x) != out)
    throw Error(ErrorKind::kModel,
                fmt::format("a ghost bottleneck of stride 1 keeps the {} channels; {} are asked for",
                            g.channels(x), out));
  const auto scope = g.scope(name);
  const int hidden = expanded(out, 0.5);
  Value y = ghost_unit(g, x, "conv.0", {.out = hidden}, activation);
  if (stride != 1)
    y = depthwise_unit(g, y, "conv.1", {.out = hidden, .kernel = kernel, .stride = stride}, kNoActivation);
  y = ghost_unit(g, y, "conv.2", {.out = out}, kNoActivation);
  if (stride != 1) {
    x = depthwise_unit(g, x, "shortcut.0", {.out = g.channels(x), .kernel = kernel, .stride = stride},
                       kNoActivation);
    x = conv_unit(g, x, "shortcut.1", {.out = out}, kNoActivation);
  }
  return g.add(y, x);
}

namespace {

const ModuleRegistration kBottleneck{
    {.name = "Bottleneck",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "shortcut", "groups", "kernels", "expansion"},
     .build = [](ModuleCall& call) {
       BottleneckOptions options{.out = call.positive(0, 0)};
       options.shortcut = call.boolean(1, true);
       options.groups = call.positive(2, 1);
       if (!call.absent(3)) {
         const nlohmann::json& kernels = call.args[3];
         const auto valid = [](const nlohmann::json& k) {
           return k.is_number_integer() && k >= 1 && k <= kMaxKernel;
         };
         if (!kernels.is_array() || kernels.size() != 2 || !valid(kernels[0]) || !valid(kernels[1]))
           call.refuse(3, "two kernel sizes, [3, 3]");
         options.kernel1 = kernels[0];
         options.kernel2 = kernels[1];
       }
       options.expansion = call.number(4, 0.5);
       return std::vector{bottleneck(call.graph, call.input(), "", options, call.activation)};
     }}};

const ModuleRegistration kGhostBottleneck{
    {.name = "GhostBottleneck",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride"},
     .build =
         [](ModuleCall& call) {
           return std::vector{ghost_bottleneck(call.graph, call.input(), "", call.positive(0, 0),
                                               call.positive(1, 3, kMaxKernel), call.positive(2, 1, 2),
                                               call.activation)};
         },
     // Two units without activation in the last ghost unit; with stride 1 two identities, otherwise three
     // more units without activation.
     .silent_modules = [](const ModuleCall& call) { return call.integer(2, 1) == 1 ? 4 : 5; }}};

}  // namespace
}  // namespace marrow::nn
