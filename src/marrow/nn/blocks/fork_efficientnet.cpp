// EfficientNet's stem and blocks as lines of YOLOv8 forks write them: ReLU6, symmetric padding, a squeeze of
// a quarter of the expanded width, YOLOv8's batch norms, scaled channels. Source: EfficientNet, Tan and Le
// 2019, arXiv:1905.11946.
#include <array>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/squeeze_excite.h"

namespace marrow::nn {
namespace {

Activation stem_activation(const ModuleCall& call) {
  constexpr std::array kKnown = {
      std::pair("ReLU6", ActivationKind::kRelu6), std::pair("ReLU", ActivationKind::kRelu),
      std::pair("SiLU", ActivationKind::kSilu), std::pair("Hardswish", ActivationKind::kHardSwish)};
  if (!call.absent(1) && call.args[1].is_number())
    throw Error(
        ErrorKind::kUnsupported,
        "stem [out, kernel, stride] is EfficientNetV2's, which Marrow does not have; EfficientNet's is "
        "stem [out, ReLU6]");
  const std::string name = call.text(1, "ReLU6");
  for (const auto& [known, kind] : kKnown)
    if (name == known) return {kind, 0, {}};
  call.refuse(1, "ReLU6, ReLU, SiLU or Hardswish");
}

const ModuleRegistration kForkStem{
    {.name = "stem",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "activation", "stride"},
     .build =
         [](ModuleCall& call) {
           const Activation activation = stem_activation(call);
           if (!call.absent(2)) call.refuse(2, "nothing: EfficientNet's stem is [out, ReLU6]");
           return std::vector{conv_unit(call.graph, call.input(), "",
                                        {.out = call.positive(0, 0), .kernel = 3, .stride = 2}, activation)};
         },
     .reading =
         [](const ModuleCall&) { return "EfficientNet stem of YOLOv8 forks, [out, ReLU6], out scaled"; }}};

const ModuleRegistration kMbConvBlock{
    {.name = "MBConvBlock",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "expand", "drop", "se"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           const Value input = call.input();
           const int in = g.channels(input);
           const int out = call.positive(0, 0);
           const int kernel = call.positive(1, 3, kMaxKernel);
           const int stride = call.positive(2, 1, kMaxKernel);
           const double expand = call.number(3, 1);
           if (!(expand > 0 && in * expand >= 1 && in * expand <= kMaxArgument))
             call.refuse(3, "a factor above 0");
           call.number(4, 0);  // the rate of drop connect, which these forks never apply
           const int wide = static_cast<int>(in * expand);
           const auto norm = [&](Value x, std::string_view name) {
             return g.batch_norm(x, name, kYoloBatchNorm);
           };
           Value x = input;
           if (expand != 1)
             x = g.activation(norm(g.conv(x, "_expand_conv", {.out = wide}), "_bn0"), ActivationKind::kRelu6);
           x = g.conv(x, "_depthwise_conv",
                      {.out = wide,
                       .kernel = kernel,
                       .stride = stride,
                       .groups = wide,
                       .padding = Padding::symmetric(kernel / 2)});
           x = g.activation(norm(x, "_bn1"), ActivationKind::kRelu6);
           if (call.boolean(5, false)) {
             const auto scope = g.scope("se");
             x = squeeze_excite(
                 g, x,
                 {.hidden = std::max(1, wide / 4), .reduce = "Excitation.FC1", .expand = "Excitation.FC2"});
           }
           x = norm(g.conv(x, "_project_conv", {.out = out}), "_bn2");
           return std::vector{stride == 1 && in == out ? g.add(x, input) : x};
         },
     .reading =
         [](const ModuleCall&) {
           return "EfficientNet block of YOLOv8 forks, [out, kernel, stride, expand, drop, se], out scaled, "
                  "ReLU6";
         }}};

}  // namespace
}  // namespace marrow::nn
