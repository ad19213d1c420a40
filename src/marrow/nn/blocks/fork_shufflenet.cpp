// ShuffleNet V2's stem and units as lines of YOLOv8 forks write them, torchvision's wiring with YOLOv8's
// batch norms and scaled channels. Source: ShuffleNet V2, Ma et al. 2018, arXiv:1807.11164.
#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

// A convolution and its batch norm under two names, then ReLU if asked for.
Value conv_bn(GraphBuilder& g, Value x, std::string_view conv, std::string_view norm,
              const ConvOptions& options, bool relu) {
  x = g.batch_norm(g.conv(x, conv, options), norm, kYoloBatchNorm);
  return relu ? g.activation(x, ActivationKind::kRelu) : x;
}

ConvOptions depthwise3(int channels, int stride, bool bias) {
  return {.out = channels, .kernel = 3, .stride = stride, .groups = channels, .bias = bias};
}

Module fork_shuffle_stem(const char* name, const char* formerly) {
  return {
      .name = name,
      .channels = Module::Channels::kScaled,
      .arguments = {"channels"},
      .build =
          [](ModuleCall& call) {
            GraphBuilder& g = call.graph;
            Value x = call.input();
            {
              const auto scope = g.scope("conv");
              x = conv_bn(g, x, "0", "1", {.out = call.positive(0, 0), .kernel = 3, .stride = 2}, true);
            }
            const auto scope = g.scope("maxpool");
            return std::vector{g.max_pool(x, 3, 2, 1)};
          },
      .reading = [](const ModuleCall&) { return "ShuffleNet V2 stem of YOLOv8 forks, [out], out scaled"; },
      .formerly = formerly};
}

// branch1 only at stride 2; a depthwise bias where the fork leaves torch's default.
Value fork_shuffle_unit(GraphBuilder& g, Value x, int out, int stride, bool bias) {
  const int in = g.channels(x);
  const int half = out / 2;
  if (out % 2 != 0 || (stride == 1 && out != in))
    throw Error(
        ErrorKind::kModel,
        fmt::format("{} to {} channels at stride {}; the output must be even, and at stride 1 as wide as "
                    "the input",
                    in, out, stride));
  Value left = x, right = x;
  if (stride == 1) {
    left = g.slice(x, 0, half);
    right = g.slice(x, half, in);
  } else {
    const auto scope = g.scope("branch1");
    left = conv_bn(g, left, "0", "1", depthwise3(in, stride, bias), false);
    left = conv_bn(g, left, "2", "3", {.out = half}, true);
  }
  {
    const auto scope = g.scope("branch2");
    right = conv_bn(g, right, "0", "1", {.out = half}, true);
    right = conv_bn(g, right, "3", "4", depthwise3(half, stride, bias), false);
    right = conv_bn(g, right, "5", "6", {.out = half}, true);
  }
  return g.channel_shuffle(g.concat({left, right}), 2);
}

Module fork_shuffle_module(const char* name, bool bias, const char* formerly = "") {
  return {.name = name,
          .channels = Module::Channels::kScaled,
          .arguments = {"channels", "stride"},
          .build =
              [bias](ModuleCall& call) {
                return std::vector{fork_shuffle_unit(call.graph, call.input(), call.positive(0, 0),
                                                     call.positive(1, 1, 2), bias)};
              },
          .reading =
              [bias](const ModuleCall&) {
                return bias
                           ? "ShuffleNet V2 unit of YOLOv8 forks, [out, stride], out scaled, depthwise biases"
                           : "ShuffleNet V2 unit of YOLOv8 forks, [out, stride], out scaled";
              },
          .formerly = formerly};
}

const ModuleRegistration kConvMaxpool{fork_shuffle_stem("Conv_maxpool", "ShuffleNetStem")};
const ModuleRegistration kCbrm{fork_shuffle_stem("CBRM", "")};
const ModuleRegistration kConvBnReluMaxpool{fork_shuffle_stem("conv_bn_relu_maxpool", "")};
const ModuleRegistration kShuffleNetV2Unit{fork_shuffle_module("ShuffleNetV2", true, "ShuffleNetUnit")};
const ModuleRegistration kShuffleNetV2Model{fork_shuffle_module("ShuffleNetV2_Model", true)};
const ModuleRegistration kShuffleBlock{fork_shuffle_module("Shuffle_Block", false)};

// The paper's units, with layers of their own names.
const ModuleRegistration kDownsampleUnit{
    {.name = "DownsampleUnit",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           const Value x = call.input();
           const int in = g.channels(x);
           if (const int out = call.positive(0, 0); out != 2 * in)
             throw Error(ErrorKind::kModel,
                         fmt::format("{} channels; this unit makes twice its input's {}", out, in));
           Value left = conv_bn(g, x, "conv1l", "bn1l", depthwise3(in, 2, false), false);
           left = conv_bn(g, left, "conv2l", "bn2l", {.out = in}, true);
           Value right = conv_bn(g, x, "conv1r", "bn1r", {.out = in}, true);
           right = conv_bn(g, right, "conv2r", "bn2r", depthwise3(in, 2, false), false);
           right = conv_bn(g, right, "conv3r", "bn3r", {.out = in}, true);
           return std::vector{g.channel_shuffle(g.concat({right, left}), 2)};
         },
     .reading = [](const ModuleCall&) { return "ShuffleNet V2 unit of stride 2 of a YOLOv8 fork, [2 in]"; }}};

const ModuleRegistration kBasicUnit{
    {.name = "BasicUnit",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           const Value x = call.input();
           const int in = g.channels(x);
           if (const int out = call.positive(0, 0); out != in || in < 2 || in % 2 != 0)
             throw Error(ErrorKind::kModel,
                         fmt::format("{} channels; this unit keeps its input's {}, an even number", out, in));
           const int kept = static_cast<int>(std::nearbyint(in * 0.5));
           const Value left = g.slice(x, 0, kept);
           Value right = conv_bn(g, g.slice(x, kept, in), "conv1", "bn1", {.out = in - kept}, true);
           right = conv_bn(g, right, "conv2", "bn2", depthwise3(in - kept, 1, false), false);
           right = conv_bn(g, right, "conv3", "bn3", {.out = in - kept}, true);
           return std::vector{g.channel_shuffle(g.concat({left, right}), 2)};
         },
     .reading = [](const ModuleCall&) { return "ShuffleNet V2 unit of stride 1 of a YOLOv8 fork"; }}};

const ModuleRegistration kDwConvBlock{
    {.name = "DWConvblock",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           const int in = g.channels(call.input());
           const int kernel = call.positive(1, 3, kMaxKernel);
           const Value x = conv_bn(g, call.input(), "conv1", "bn1",
                                   {.out = in,
                                    .kernel = kernel,
                                    .stride = call.positive(2, 1, kMaxKernel),
                                    .groups = in,
                                    .padding = Padding::symmetric(kernel / 2)},
                                   true);
           return std::vector{conv_bn(g, x, "conv2", "bn2", {.out = call.positive(0, 0)}, true)};
         },
     .reading =
         [](const ModuleCall&) {
           return "depthwise and 1x1 of YOLOv8 forks, [out, kernel, stride], out scaled";
         }}};

}  // namespace
}  // namespace marrow::nn
