// The trunks of RT-DETR's YAMLs: PP-HGNet and ResNet. All channels are literal. Sources: PP-HGNet, PaddleClas
// 2022; Deep Residual Learning, He et al. 2015.
#include <fmt/format.h>

#include <string>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

const Activation kHgRelu{ActivationKind::kRelu, 0, {}};
constexpr Padding kBelowAndRight{.before = 0, .after = 1};

// [middle, out]
const ModuleRegistration kHgStem{
    {.name = "HGStem", .arguments = {"middle", "channels"}, .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int middle = call.positive(0, 0);
       if (middle % 2 != 0) call.refuse(0, "an even number");
       const Value x =
           conv_unit(g, call.input(), "stem1", {.out = middle, .kernel = 3, .stride = 2}, kHgRelu);
       Value left = g.max_pool(g.zero_pad(x, 0, 1), 2, 1);
       Value right =
           conv_unit(g, x, "stem2a", {.out = middle / 2, .kernel = 2, .padding = kBelowAndRight}, kHgRelu);
       right =
           conv_unit(g, right, "stem2b", {.out = middle, .kernel = 2, .padding = kBelowAndRight}, kHgRelu);
       Value joined =
           conv_unit(g, g.concat({left, right}), "stem3", {.out = middle, .kernel = 3, .stride = 2}, kHgRelu);
       return std::vector{conv_unit(g, joined, "stem4", {.out = call.positive(1, 0)}, kHgRelu)};
     }}};

// [middle, out, kernel 3, light False, shortcut False]
const ModuleRegistration kHgBlock{
    {.name = "HGBlock",
     .takes_repeats = true,
     .arguments = {"middle", "channels", "kernel", "light", "shortcut"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int middle = call.positive(0, 0), out = call.positive(1, 0);
       if (out % 2 != 0) call.refuse(1, "an even number");
       const int kernel = call.positive(2, 3, kMaxKernel);
       const bool light = call.boolean(3, false);
       std::vector<Value> maps = {call.input()};
       for (int i = 0; i < call.repeats; ++i) {
         const std::string name = "m." + std::to_string(i);
         if (!light) {
           maps.push_back(conv_unit(g, maps.back(), name, {.out = middle, .kernel = kernel}, kHgRelu));
           continue;
         }
         const auto scope = g.scope(name);
         const Value mixed = conv_unit(g, maps.back(), "conv1", {.out = middle}, kNoActivation);
         maps.push_back(depthwise_unit(g, mixed, "conv2", {.out = middle, .kernel = kernel}, kHgRelu));
       }
       Value x = conv_unit(g, g.concat(maps), "sc", {.out = out / 2}, kHgRelu);
       x = conv_unit(g, x, "ec", {.out = out}, kHgRelu);
       return std::vector{call.boolean(4, false) && g.channels(maps[0]) == out ? g.add(x, maps[0]) : x};
     }}};

Value resnet_block(GraphBuilder& g, Value x, std::string_view name, int channels, int stride, int expansion,
                   const Activation& activation) {
  const auto scope = g.scope(name);
  const int out = channels * expansion;
  Value y = conv_unit(g, x, "cv1", {.out = channels}, activation);
  y = conv_unit(g, y, "cv2", {.out = channels, .kernel = 3, .stride = stride}, activation);
  y = conv_unit(g, y, "cv3", {.out = out}, kNoActivation);
  if (stride != 1 || g.channels(x) != out)
    x = conv_unit(g, x, "shortcut.0", {.out = out, .stride = stride}, kNoActivation);
  return g.activation(g.add(y, x), ActivationKind::kRelu);
}

// [in, c, stride 1, first False, blocks 1, expansion 4]
const ModuleRegistration kResNetLayer{
    {.name = "ResNetLayer",
     .arguments = {"in", "channels", "stride", "first", "blocks", "expansion"},
     .build = [](ModuleCall& call) {
       constexpr int kMaxBlocks = 200, kMaxExpansion = 64;
       GraphBuilder& g = call.graph;
       Value x = call.input();
       if (call.positive(0, 0) != g.channels(x)) call.refuse(0, fmt::format("its input's {}", g.channels(x)));
       const int channels = call.positive(1, 0);
       const auto scope = g.scope("layer");
       if (call.boolean(3, false)) {
         x = conv_unit(g, x, "0", {.out = channels, .kernel = 7, .stride = 2}, call.activation);
         return std::vector{g.max_pool(x, 3, 2, 1)};
       }
       const int expansion = call.positive(5, 4, kMaxExpansion);
       for (int i = 0; i < call.positive(4, 1, kMaxBlocks); ++i)
         x = resnet_block(g, x, std::to_string(i), channels, i == 0 ? call.positive(2, 1, kMaxKernel) : 1,
                          expansion, call.activation);
       return std::vector{x};
     }}};

}  // namespace
}  // namespace marrow::nn
