// Blocks that forks borrow for their necks: sums and products of maps, Slim-neck's GSConv, what YOLOv5, v6
// and v7 have.
#include <fmt/format.h>

#include <string>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/spatial_pyramid.h"

namespace marrow::nn {
namespace {

const Activation kSimRelu{ActivationKind::kRelu, 0, {}};

void want_inputs(const ModuleCall& call, size_t least) {
  if (call.inputs.size() < least)
    throw Error(ErrorKind::kModel,
                fmt::format("'from' names {} layers, wanted {} or more", call.inputs.size(), least));
}

const ModuleRegistration kAddLine{{.name = "Add", .arguments = {}, .build = [](ModuleCall& call) {
                                     want_inputs(call, 2);
                                     Value sum = call.inputs[0];
                                     for (size_t i = 1; i < call.inputs.size(); ++i)
                                       sum = call.graph.add(sum, call.inputs[i]);
                                     return std::vector{sum};
                                   }}};

const ModuleRegistration kMultiplyLine{
    {.name = "Multiply", .arguments = {}, .build = [](ModuleCall& call) {
       if (call.inputs.size() != 2)
         throw Error(ErrorKind::kModel, fmt::format("'from' names {} layers, wanted 2", call.inputs.size()));
       return std::vector{call.graph.multiply(call.inputs[0], call.inputs[1])};
     }}};

ConvOptions unit_options(const ModuleCall& call, int kernel) {
  return {.out = call.positive(0, 0),
          .kernel = call.positive(1, kernel, kMaxKernel),
          .stride = call.positive(2, 1, kMaxKernel)};
}

// Half by a convolution, half by a 5x5 depthwise one of that; then the even channels ahead of the odd ones.
// Source: Slim-neck, Li et al. 2022, arXiv:2206.02424.
const ModuleRegistration kGsConv{{.name = "GSConv",
                                  .channels = Module::Channels::kScaled,
                                  .arguments = {"channels", "kernel", "stride"},
                                  .build = [](ModuleCall& call) {
                                    GraphBuilder& g = call.graph;
                                    const ConvOptions options = unit_options(call, 1);
                                    const Value joined =
                                        ghost_unit(g, call.input(), "", options, call.activation);
                                    return std::vector{g.channel_shuffle(joined, options.out / 2)};
                                  }}};

const ModuleRegistration kSimConv{{.name = "SimConv",
                                   .channels = Module::Channels::kScaled,
                                   .arguments = {"channels", "kernel", "stride"},
                                   .build = [](ModuleCall& call) {
                                     ConvOptions options = unit_options(call, 1);
                                     options.padding = Padding::symmetric(options.kernel / 2);
                                     return std::vector{
                                         conv_unit(call.graph, call.input(), "", options, kSimRelu)};
                                   }}};

const ModuleRegistration kSimSppf{
    {.name = "SimSPPF",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "kernel"},
     .build = [](ModuleCall& call) {
       const SppfOptions options{.out = call.positive(0, 0), .kernel = call.positive(1, 5, kMaxKernel)};
       if (options.kernel % 2 == 0) call.refuse(1, "an odd number, so that the map keeps its size");
       return std::vector{sppf(call.graph, call.input(), "", options, kSimRelu)};
     }}};

const ModuleRegistration kTranspose{{.name = "Transpose",
                                     .channels = Module::Channels::kScaled,
                                     .arguments = {"channels"},
                                     .build = [](ModuleCall& call) {
                                       return std::vector{call.graph.conv_transpose(
                                           call.input(), "upsample_transpose", {.out = call.positive(0, 0)})};
                                     }}};

// Pools 5, 9 and 13 between convolutions, a 1x1 unit around them; all as wide as the output. Source: YOLOv7,
// Wang et al. 2022, arXiv:2207.02696.
const ModuleRegistration kSppCspc{
    {.name = "SPPCSPC",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int out = call.positive(0, 0);
       const auto unit = [&](Value x, std::string_view name, int kernel) {
         return conv_unit(g, x, name, {.out = out, .kernel = kernel}, call.activation);
       };
       const Value inside = unit(unit(unit(call.input(), "cv1", 1), "cv3", 3), "cv4", 1);
       std::vector<Value> maps = {inside};
       for (const int window : {5, 9, 13}) maps.push_back(g.max_pool(inside, window, 1, window / 2));
       const Value pooled = unit(unit(g.concat(maps), "cv5", 1), "cv6", 3);
       return std::vector{unit(g.concat({pooled, unit(call.input(), "cv2", 1)}), "cv7", 1)};
     }}};

const ModuleRegistration kMp{{.name = "MP", .arguments = {"kernel"}, .build = [](ModuleCall& call) {
                                const int kernel = call.positive(0, 2, kMaxKernel);
                                return std::vector{call.graph.max_pool(call.input(), kernel, kernel)};
                              }}};

const ModuleRegistration kSp{{.name = "SP", .arguments = {"kernel", "stride"}, .build = [](ModuleCall& call) {
                                const int kernel = call.positive(0, 3, kMaxKernel);
                                if (kernel % 2 == 0)
                                  call.refuse(0, "an odd number, so that the map keeps its size");
                                return std::vector{call.graph.max_pool(
                                    call.input(), kernel, call.positive(1, 1, kMaxKernel), kernel / 2)};
                              }}};

// Half by two units, the second of stride 2; half by a max pool and a 1x1 unit.
const ModuleRegistration kDownC{
    {.name = "DownC",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int out = call.positive(0, 0);
       if (out % 2 != 0) call.refuse(0, "an even number");
       const Value x = call.input();
       Value left = conv_unit(g, x, "cv1", {.out = g.channels(x)}, call.activation);
       left = conv_unit(g, left, "cv2", {.out = out / 2, .kernel = 3, .stride = 2}, call.activation);
       const Value right = conv_unit(g, g.max_pool(x, 2, 2), "cv3", {.out = out / 2}, call.activation);
       return std::vector{g.concat({left, right})};
     }}};

// C3 before its time: plain convolutions cv2 around and cv3 behind the bottlenecks, a batch norm on both.
// Source: CSPNet, Wang et al. 2020, as YOLOv5 1.0 has it.
const ModuleRegistration kBottleneckCsp{
    {.name = "BottleneckCSP",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .arguments = {"channels", "shortcut", "groups", "expansion"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int out = call.positive(0, 0);
       const int hidden = expanded(out, call.number(3, 0.5));
       Value inside = conv_unit(g, call.input(), "cv1", {.out = hidden}, call.activation);
       for (int i = 0; i < call.repeats; ++i)
         inside = bottleneck(g, inside, "m." + std::to_string(i),
                             {.out = hidden,
                              .shortcut = call.boolean(1, true),
                              .groups = call.positive(2, 1),
                              .expansion = 1.0},
                             call.activation);
       inside = g.conv(inside, "cv3", {.out = hidden});
       const Value around = g.conv(call.input(), "cv2", {.out = hidden});
       Value joined = g.batch_norm(g.concat({inside, around}), "bn", kYoloBatchNorm);
       joined = g.activation(joined, ActivationKind::kSilu);
       return std::vector{conv_unit(g, joined, "cv4", {.out = out}, call.activation)};
     }}};

// Four pixels of each 2 x 2 as channels, by columns; then a unit. Sources: YOLOv5; SPD-Conv, Sunkara and Luo
// 2022, arXiv:2208.03641.
const ModuleRegistration kReOrg{{.name = "ReOrg", .arguments = {}, .build = [](ModuleCall& call) {
                                   return std::vector{call.graph.space_to_depth(call.input())};
                                 }}};

const ModuleRegistration kFocus{{.name = "Focus",
                                 .channels = Module::Channels::kScaled,
                                 .arguments = {"channels", "kernel", "stride"},
                                 .build = [](ModuleCall& call) {
                                   return std::vector{
                                       conv_unit(call.graph, call.graph.space_to_depth(call.input()), "conv",
                                                 unit_options(call, 1), call.activation)};
                                 }}};

const ModuleRegistration kSpdConv{
    {.name = "SPDConv",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build = [](ModuleCall& call) {
       return std::vector{conv_unit(call.graph, call.graph.space_to_depth(call.input()), "conv",
                                    {.out = call.positive(0, 0), .kernel = 3}, call.activation)};
     }}};

}  // namespace
}  // namespace marrow::nn
