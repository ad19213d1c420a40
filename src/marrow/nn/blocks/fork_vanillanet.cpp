// VanillaNet's blocks as lines of YOLOv8 forks write them: no leaky ReLU inside the pairs, batch norms as
// YOLOv8's, channels scaled by the width. Source: VanillaNet, Chen et al. 2023, arXiv:2305.12972.
#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr int kMaxSeries = 16;  // of act_num

Value biased_conv(GraphBuilder& g, Value x, std::string_view name, ConvOptions options) {
  options.bias = true;
  return g.conv(x, name, options);
}

// ReLU, then a depthwise convolution over (2n + 1) x (2n + 1) neighbours; `<name>.bn` unless deployed.
Value series(GraphBuilder& g, Value x, const std::string& name, int act_num, bool deploy) {
  const int channels = g.channels(x);
  x = g.activation(x, ActivationKind::kRelu);
  x = g.conv(x, name, {.out = channels, .kernel = 2 * act_num + 1, .groups = channels, .bias = deploy});
  return deploy ? x : g.batch_norm(x, name + ".bn", kYoloBatchNorm);
}

struct ForkVanillaBlock {
  int out = 0;
  int act_num = 3;
  int stride = 2;
  bool deploy = false;
};

Value fork_vanilla_block(GraphBuilder& g, Value x, const ForkVanillaBlock& block) {
  if (block.deploy) {
    x = biased_conv(g, x, "conv", {.out = block.out});
  } else {
    x = g.batch_norm(biased_conv(g, x, "conv1.0", {.out = g.channels(x)}), "conv1.1", kYoloBatchNorm);
    x = g.batch_norm(biased_conv(g, x, "conv2.0", {.out = block.out}), "conv2.1", kYoloBatchNorm);
  }
  if (block.stride != 1) x = g.max_pool(x, block.stride, block.stride);
  return series(g, x, "act", block.act_num, block.deploy);
}

// Two orders of arguments share the names. Five with a number or None in fourth place are the lines of a fork
// that writes a convolution's arguments, of which only out and stride count.
bool is_convolution_form(const ModuleCall& call) {
  return call.args.size() == 5 && !call.args[3].is_boolean();
}

Module fork_block(const char* name) {
  return {
      .name = name,
      .channels = Module::Channels::kScaled,
      .arguments = {"channels", "act_num", "stride", "deploy", "ada_pool"},
      .build =
          [](ModuleCall& call) {
            ForkVanillaBlock block{.out = call.positive(0, 0)};
            if (is_convolution_form(call)) {
              block.stride = call.positive(2, 1, kMaxKernel);
            } else {
              block.act_num = call.positive(1, 3, kMaxSeries);
              block.stride = call.positive(2, 2, kMaxKernel);
              block.deploy = call.boolean(3, false);
              if (!call.absent(4)) call.refuse(4, "None: a fixed grid gives a detector no stride");
            }
            return std::vector{fork_vanilla_block(call.graph, call.input(), block)};
          },
      .reading =
          [](const ModuleCall& call) {
            return is_convolution_form(call)
                       ? "VanillaNet block of a YOLOv8 fork, [out, -, stride, -, -], out scaled, act_num 3"
                       : "VanillaNet block of YOLOv8 forks, [out, act_num 3, stride 2], out scaled";
          },
      .formerly = "VanillaNetBlock"};
}

const ModuleRegistration kForkVanillaBlock{fork_block("VanillaBlock")};
const ModuleRegistration kForkVanillaBlockLower{fork_block("vanillanetBlock")};

// [out, kernel, -, -, -]: a convolution of stride 4 without padding, then the pair and the series activation.
const ModuleRegistration kForkVanillaStem{
    {.name = "VanillaStem",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "padding", "groups"},
     .build =
         [](ModuleCall& call) {
           if (call.args.size() != 5)
             throw Error(
                 ErrorKind::kUnsupported,
                 "VanillaStem with fewer than five arguments is another network: of one fork a separable "
                 "convolution with ELU and squeeze-excite, which Marrow does not build; in files for "
                 "Marrow 0.1 what is now VanillaNetStem");
           GraphBuilder& g = call.graph;
           const int out = call.positive(0, 0);
           Value x = biased_conv(g, call.input(), "stem1.0",
                                 {.out = out,
                                  .kernel = call.positive(1, 4, kMaxKernel),
                                  .stride = 4,
                                  .padding = Padding::symmetric(0)});
           x = g.batch_norm(x, "stem1.1", kYoloBatchNorm);
           x = g.batch_norm(biased_conv(g, x, "stem2.0", {.out = out}), "stem2.1", kYoloBatchNorm);
           return std::vector{series(g, x, "stem2.2", 3, false)};
         },
     .reading =
         [](const ModuleCall&) {
           return "VanillaNet stem of a YOLOv8 fork, [out, kernel, -, -, -], out scaled, stride 4, no "
                  "padding";
         },
     .formerly = "VanillaNetStem"}};

}  // namespace
}  // namespace marrow::nn
