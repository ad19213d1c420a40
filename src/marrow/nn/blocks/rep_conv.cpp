#include "marrow/nn/blocks/rep_conv.h"

#include <string>

#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

Value rep_conv(GraphBuilder& g, Value x, std::string_view name, int out, int kernel, int stride) {
  const auto scope = g.scope(name);
  const Value wide =
      conv_unit(g, x, "conv1", {.out = out, .kernel = kernel, .stride = stride}, kNoActivation);
  const Value narrow = conv_unit(g, x, "conv2", {.out = out, .stride = stride}, kNoActivation);
  return g.activation(g.add(wide, narrow), ActivationKind::kSilu);
}

Value rep_vgg_block(GraphBuilder& g, Value x, std::string_view name, int out, int stride) {
  const auto scope = g.scope(name);
  const Value wide = conv_unit(g, x, "rbr_dense", {.out = out, .kernel = 3, .stride = stride}, kNoActivation);
  const Value narrow = conv_unit(g, x, "rbr_1x1", {.out = out, .stride = stride}, kNoActivation);
  Value sum = g.add(wide, narrow);
  if (stride == 1 && g.channels(x) == out) sum = g.add(sum, g.batch_norm(x, "rbr_identity", kYoloBatchNorm));
  return g.activation(sum, ActivationKind::kRelu);
}

namespace {

const ModuleRegistration kRepConv{{.name = "RepConv",
                                   .channels = Module::Channels::kScaled,
                                   .arguments = {"channels", "kernel", "stride"},
                                   .build = [](ModuleCall& call) {
                                     if (call.positive(1, 3, kMaxKernel) != 3)
                                       call.refuse(1, "3, the only kernel that has a 1x1 branch beside it");
                                     return std::vector{rep_conv(call.graph, call.input(), "",
                                                                 call.positive(0, 0), 3,
                                                                 call.positive(2, 1, kMaxKernel))};
                                   }}};

// [out, e = 1]: cv3(chain of RepConv on cv1(x) + cv2(x)); cv3 only where hidden and output widths differ.
// Source: RT-DETR, Zhao et al. 2023, arXiv:2304.08069.
const ModuleRegistration kRepC3{
    {.name = "RepC3",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .arguments = {"channels", "expansion"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int out = call.positive(0, 0);
       const int hidden = expanded(out, call.number(1, 1.0));
       Value inside = conv_unit(g, call.input(), "cv1", {.out = hidden}, call.activation);
       const Value around = conv_unit(g, call.input(), "cv2", {.out = hidden}, call.activation);
       for (int i = 0; i < call.repeats; ++i) inside = rep_conv(g, inside, "m." + std::to_string(i), hidden);
       const Value sum = g.add(inside, around);
       return std::vector{hidden == out ? sum : conv_unit(g, sum, "cv3", {.out = out}, call.activation)};
     }}};

const ModuleRegistration kRepVggBlock{{.name = "RepVGGBlock",
                                       .channels = Module::Channels::kScaled,
                                       .arguments = {"channels", "kernel", "stride"},
                                       .build = [](ModuleCall& call) {
                                         if (call.positive(1, 3, kMaxKernel) != 3) call.refuse(1, "3");
                                         return std::vector{rep_vgg_block(call.graph, call.input(), "",
                                                                          call.positive(0, 0),
                                                                          call.positive(2, 1, kMaxKernel))};
                                       }}};

// A block "conv1" and the others "block.<j>".
const ModuleRegistration kRepBlock{{.name = "RepBlock",
                                    .channels = Module::Channels::kScaled,
                                    .takes_repeats = true,
                                    .arguments = {"channels"},
                                    .build = [](ModuleCall& call) {
                                      GraphBuilder& g = call.graph;
                                      const int out = call.positive(0, 0);
                                      Value x = rep_vgg_block(g, call.input(), "conv1", out);
                                      for (int i = 1; i < call.repeats; ++i)
                                        x = rep_vgg_block(g, x, "block." + std::to_string(i - 1), out);
                                      return std::vector{x};
                                    }}};

}  // namespace
}  // namespace marrow::nn
