#include "marrow/nn/blocks/conv.h"

#include <fmt/format.h>

#include <numeric>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

Value conv_unit(GraphBuilder& g, Value x, std::string_view name, const ConvOptions& options,
                const Activation& activation) {
  const auto scope = g.scope(name);
  x = g.conv(x, "conv", options);
  x = g.batch_norm(x, "bn", kYoloBatchNorm);
  return g.activation(x, g.unit_activation(activation));
}

Value depthwise_unit(GraphBuilder& g, Value x, std::string_view name, ConvOptions options,
                     const Activation& activation) {
  options.groups = std::gcd(g.channels(x), options.out);
  return conv_unit(g, x, name, options, activation);
}

Value ghost_unit(GraphBuilder& g, Value x, std::string_view name, ConvOptions options,
                 const Activation& activation) {
  if (options.out % 2 != 0)
    throw Error(ErrorKind::kModel,
                fmt::format("a ghost convolution makes an even number of channels, not {}", options.out));
  const auto scope = g.scope(name);
  options.out /= 2;
  const Value primary = conv_unit(g, x, "cv1", options, activation);
  const Value cheap =
      conv_unit(g, primary, "cv2", {.out = options.out, .kernel = 5, .groups = options.out}, activation);
  return g.concat({primary, cheap});
}

namespace {

// True: the model's activation; False: none.
Activation activation_argument(const ModuleCall& call, size_t index) {
  return call.boolean(index, true) ? call.activation : kNoActivation;
}

ConvOptions kernel_and_stride(const ModuleCall& call) {
  ConvOptions options;
  options.out = call.positive(0, 0);
  options.kernel = call.positive(1, 1, kMaxKernel);
  options.stride = call.positive(2, 1, kMaxKernel);
  return options;
}

const ModuleRegistration kConv{
    {.name = "Conv",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "padding", "groups", "dilation", "act"},
     .build =
         [](ModuleCall& call) {
           ConvOptions options = kernel_and_stride(call);
           if (!call.absent(3)) {
             const int padding = call.integer(3);
             if (padding < 0 || padding > kMaxKernel)
               call.refuse(3, fmt::format("a whole number from 0 to {}", kMaxKernel));
             options.padding = Padding::symmetric(padding);
           }
           options.groups = call.positive(4, 1);
           options.dilation = call.positive(5, 1, kMaxKernel);
           return std::vector{conv_unit(call.graph, call.input(), "", options, activation_argument(call, 6))};
         },
     .silent_modules = [](const ModuleCall& call) { return call.boolean(6, true) ? 0 : 1; }}};

const ModuleRegistration kDepthwiseConv{
    {.name = "DWConv",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "dilation", "act"},
     .build =
         [](ModuleCall& call) {
           ConvOptions options = kernel_and_stride(call);
           options.dilation = call.positive(3, 1, kMaxKernel);
           return std::vector{
               depthwise_unit(call.graph, call.input(), "", options, activation_argument(call, 4))};
         },
     .silent_modules = [](const ModuleCall& call) { return call.boolean(4, true) ? 0 : 1; }}};

const ModuleRegistration kGhostConv{
    {.name = "GhostConv",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "groups", "act"},
     .build =
         [](ModuleCall& call) {
           ConvOptions options = kernel_and_stride(call);
           options.groups = call.positive(3, 1);
           return std::vector{
               ghost_unit(call.graph, call.input(), "", options, activation_argument(call, 4))};
         },
     .silent_modules = [](const ModuleCall& call) { return call.boolean(4, true) ? 0 : 2; }}};

// The stem of line-by-line ShuffleNet V2 recipes: 3x3 stride 2, batch norm, ReLU, 3x3 max pool stride 2.
// Source: ShuffleNet V2, Ma et al. 2018, table 5.
const ModuleRegistration kShuffleNetStem{
    {.name = "ShuffleNetStem", .arguments = {"channels"}, .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const Activation relu{ActivationKind::kRelu, 0, {}};
       const Value x =
           conv_unit(g, call.input(), "", {.out = call.positive(0, 0), .kernel = 3, .stride = 2}, relu);
       const auto scope = g.scope("maxpool");
       return std::vector{g.max_pool(x, 3, 2, 1)};
     }}};

}  // namespace
}  // namespace marrow::nn
