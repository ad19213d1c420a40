// YOLOv9's blocks. Source: YOLOv9, Wang et al. 2024, arXiv:2402.13616. Hidden widths (c3, c4) are literal.
#include <fmt/format.h>

#include <string>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/bottleneck.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/csp.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/rep_conv.h"

namespace marrow::nn {
namespace {

int even(const ModuleCall& call, size_t index) {
  const int channels = call.positive(index, 0);
  if (channels % 2 != 0) call.refuse(index, "an even number");
  return channels;
}

// Means of 2 x 2 neighbours, at full size but for the last row and column.
Value smoothed(GraphBuilder& g, Value x) {
  return g.average_pool(x, 2, 1);
}

const ModuleRegistration kADown{
    {.name = "ADown",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int half = even(call, 0) / 2;
       const Value x = smoothed(g, call.input());
       const int in = g.channels(x);
       if (in % 2 != 0)
         throw Error(ErrorKind::kModel, fmt::format("its input has {} channels, wanted an even number", in));
       const Value left = conv_unit(g, g.slice(x, 0, in / 2), "cv1", {.out = half, .kernel = 3, .stride = 2},
                                    call.activation);
       const Value right =
           conv_unit(g, g.max_pool(g.slice(x, in / 2, in), 3, 2, 1), "cv2", {.out = half}, call.activation);
       return std::vector{g.concat({left, right})};
     }}};

const ModuleRegistration kAConv{
    {.name = "AConv",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels"},
     .build = [](ModuleCall& call) {
       return std::vector{conv_unit(call.graph, smoothed(call.graph, call.input()), "cv1",
                                    {.out = call.positive(0, 0), .kernel = 3, .stride = 2}, call.activation)};
     }}};

const ModuleRegistration kSppElan{
    {.name = "SPPELAN",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "c3", "kernel"},
     .build = [](ModuleCall& call) {
       GraphBuilder& g = call.graph;
       const int kernel = call.positive(2, 5, kMaxKernel);
       if (kernel % 2 == 0) call.refuse(2, "an odd number, so that the map keeps its size");
       std::vector<Value> maps = {
           conv_unit(g, call.input(), "cv1", {.out = call.positive(1, 0)}, call.activation)};
       for (const char* pool : {"cv2", "cv3", "cv4"}) {
         const auto scope = g.scope(pool);
         maps.push_back(g.max_pool(maps.back(), kernel, 1, kernel / 2));
       }
       return std::vector{conv_unit(g, g.concat(maps), "cv5", {.out = call.positive(0, 0)}, call.activation)};
     }}};

// C3 whose bottlenecks begin with a RepConv.
Value rep_csp(GraphBuilder& g, Value x, std::string_view name, int out, int repeats,
              const Activation& activation) {
  return c3_of(g, x, name, {.out = out, .repeats = repeats}, activation,
               [&](Value v, const std::string& unit, int channels) {
                 const auto scope = g.scope(unit);
                 const Value first = rep_conv(g, v, "cv1", channels);
                 return g.add(v, conv_unit(g, first, "cv2", {.out = channels, .kernel = 3}, activation));
               });
}

// cv1 to c3 channels in halves, two branches of c4 one after another, cv4 on all four.
using ElanBranch = Value (*)(GraphBuilder&, Value, std::string_view, int channels, int repeats,
                             const Activation&);

std::vector<Value> elan(ModuleCall& call, ElanBranch branch, int repeats) {
  GraphBuilder& g = call.graph;
  const int c3 = even(call, 1), c4 = call.positive(2, 0);
  const Value both = conv_unit(g, call.input(), "cv1", {.out = c3}, call.activation);
  std::vector<Value> parts = {g.slice(both, 0, c3 / 2), g.slice(both, c3 / 2, c3)};
  for (const char* name : {"cv2", "cv3"})
    parts.push_back(branch(g, parts.back(), name, c4, repeats, call.activation));
  return {conv_unit(g, g.concat(parts), "cv4", {.out = call.positive(0, 0)}, call.activation)};
}

const ModuleRegistration kRepNcspElan4{
    {.name = "RepNCSPELAN4",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "c3", "c4", "repeats"},
     .build = [](ModuleCall& call) {
       constexpr int kMaxInner = 100;
       const ElanBranch branch = [](GraphBuilder& g, Value x, std::string_view name, int channels,
                                    int repeats, const Activation& activation) {
         const auto scope = g.scope(name);
         x = rep_csp(g, x, "0", channels, repeats, activation);
         return conv_unit(g, x, "1", {.out = channels, .kernel = 3}, activation);
       };
       return elan(call, branch, call.positive(3, 1, kMaxInner));
     }}};

const ModuleRegistration kElan1{{.name = "ELAN1",
                                 .channels = Module::Channels::kScaled,
                                 .arguments = {"channels", "c3", "c4"},
                                 .build = [](ModuleCall& call) {
                                   const ElanBranch branch = [](GraphBuilder& g, Value x,
                                                                std::string_view name, int channels, int,
                                                                const Activation& activation) {
                                     return conv_unit(g, x, name, {.out = channels, .kernel = 3}, activation);
                                   };
                                   return elan(call, branch, 1);
                                 }}};

// Holds the image for lines further down.
const ModuleRegistration kSilence{{.name = "Silence",
                                   .arguments = {},
                                   .build = [](ModuleCall& call) { return std::vector{call.input()}; },
                                   .silent_modules = [](const ModuleCall&) { return 1; }}};

}  // namespace
}  // namespace marrow::nn
