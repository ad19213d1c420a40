// PP-LCNet's blocks as lines of YOLOv8 forks write them, with YOLOv8's batch norms and scaled channels.
// Source: PP-LCNet, Cui et al. 2021, arXiv:2109.15099.
#include <string>

#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/squeeze_excite.h"

namespace marrow::nn {
namespace {

constexpr const char* kWideSqueeze = "wide";

// One fork's block has a squeeze that widens (16 in, where others take a sixteenth) and no activation behind
// the depthwise convolution: the same text. Files with tensors tell; in a YAML the word "wide" says so.
bool is_wide(const ModuleCall& call) {
  const std::string form = call.text(4, "");
  if (!form.empty() && form != kWideSqueeze) call.refuse(4, "the word wide, or nothing");
  return !form.empty();
}

Value fork_depth_sep_conv(ModuleCall& call) {
  GraphBuilder& g = call.graph;
  Value x = call.input();
  const int in = g.channels(x);
  const bool wide = is_wide(call);
  const int kernel = call.positive(1, 3, kMaxKernel);
  const auto scope = g.scope("dw_sp");
  int index = 0;
  const auto next = [&] { return std::to_string(index++); };
  x = g.conv(x, next(),
             {.out = in,
              .kernel = kernel,
              .stride = call.positive(2, 1, kMaxKernel),
              .groups = in,
              .padding = Padding::symmetric(kernel / 2)});
  x = g.batch_norm(x, next(), kYoloBatchNorm);
  if (!wide) {
    x = g.activation(x, ActivationKind::kHardSwish);
    ++index;
  }
  const auto squeeze = g.scope(next());
  if (call.boolean(3, false))
    x = wide ? squeeze_excite(g, x, {.hidden = 16 * in, .reduce = "reduce", .expand = "expand"})
             : squeeze_excite(
                   g, x,
                   {.hidden = std::max(1, in / 16), .reduce = "Excitation.FC1", .expand = "Excitation.FC2"});
  return x;
}

Value fork_depth_sep_tail(ModuleCall& call, Value x) {
  GraphBuilder& g = call.graph;
  const auto scope = g.scope("dw_sp");
  const int index = is_wide(call) ? 3 : 4;
  x = g.conv(x, std::to_string(index), {.out = call.positive(0, 0)});
  x = g.batch_norm(x, std::to_string(index + 1), kYoloBatchNorm);
  return g.activation(x, ActivationKind::kHardSwish);
}

const ModuleRegistration kDepthSepConv{
    {.name = "DepthSepConv",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "se", "form"},
     .build =
         [](ModuleCall& call) { return std::vector{fork_depth_sep_tail(call, fork_depth_sep_conv(call))}; },
     .reading =
         [](const ModuleCall& call) {
           return is_wide(call)
                      ? "PP-LCNet block of one YOLOv8 fork, [out, kernel, stride, se, wide], out scaled, "
                        "squeeze to 16 in, no activation behind the depthwise convolution"
                      : "PP-LCNet block of YOLOv8 forks, [out, kernel, stride, se], out scaled, squeeze "
                        "to in/16";
         }}};

const Activation kHardSwish{ActivationKind::kHardSwish, 0, {}};

const ModuleRegistration kCbh{
    {.name = "CBH",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "stride", "groups"},
     .build =
         [](ModuleCall& call) {
           const int kernel = call.positive(1, 1, kMaxKernel);
           return std::vector{conv_unit(call.graph, call.input(), "",
                                        {.out = call.positive(0, 0),
                                         .kernel = kernel,
                                         .stride = call.positive(2, 1, kMaxKernel),
                                         .groups = call.positive(3, 1),
                                         .padding = Padding::symmetric(kernel / 2)},
                                        kHardSwish)};
         },
     .reading =
         [](const ModuleCall&) {
           return "PP-LCNet convolution of YOLOv8 forks, [out, kernel, stride, groups]";
         }}};

const ModuleRegistration kLcBlock{
    {.name = "LC_Block",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "stride", "kernel", "se"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           const int in = g.channels(call.input());
           const int kernel = call.positive(2, 3, kMaxKernel);
           Value x = conv_unit(g, call.input(), "dw_conv",
                               {.out = in,
                                .kernel = kernel,
                                .stride = call.positive(1, 1, kMaxKernel),
                                .groups = in,
                                .padding = Padding::symmetric(kernel / 2)},
                               kHardSwish);
           if (call.boolean(3, false)) {
             const auto scope = g.scope("se");
             x = squeeze_excite(g, x,
                                {.hidden = std::max(1, in / 4),
                                 .gate = ActivationKind::kSilu,
                                 .reduce = "conv1",
                                 .expand = "conv2"});
           }
           return std::vector{conv_unit(g, x, "pw_conv", {.out = call.positive(0, 0)}, kHardSwish)};
         },
     .reading =
         [](const ModuleCall&) {
           return "PP-LCNet block of YOLOv8 forks, [out, stride, kernel, se], out scaled, SiLU as gate";
         }}};

const ModuleRegistration kDense{
    {.name = "Dense",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel", "dropout"},
     .build =
         [](ModuleCall& call) {
           GraphBuilder& g = call.graph;
           const double rate = call.number(2, 0);
           if (!(rate >= 0 && rate < 1)) call.refuse(2, "a rate from 0 to 1");
           Value x = g.conv(call.input(), "dense_conv",
                            {.out = call.positive(0, 0),
                             .kernel = call.positive(1, 1, kMaxKernel),
                             .padding = Padding::symmetric(0)});
           x = g.activation(x, ActivationKind::kHardSwish);
           return std::vector{g.dropout(x, rate)};
         },
     .reading =
         [](const ModuleCall&) {
           return "PP-LCNet's last convolution of YOLOv8 forks, [out, kernel, dropout], no padding";
         }}};

}  // namespace
}  // namespace marrow::nn
