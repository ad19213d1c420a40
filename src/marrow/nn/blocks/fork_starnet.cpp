// StarNet's block inside YOLOv8's containers, as lines of YOLOv8 forks write it, with YOLOv8's batch norms
// and scaled channels. Source: Rewrite the Stars, Ma et al. 2024, arXiv:2403.19967.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/nn/blocks/conv.h"
#include "marrow/nn/blocks/csp.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr int kStarRatio = 3;
constexpr int kMaxStarRatio = 64;

// Two spellings of one block: `units` has YOLO's convolution units without bias for dwconv and g, and plain
// convolutions under the other three names; otherwise the paper's code, biases everywhere.
Value fork_star_block(GraphBuilder& g, Value x, std::string_view name, int ratio, double drop_path,
                      bool units) {
  const auto scope = g.scope(name);
  const int channels = g.channels(x);
  const auto conv = [&](Value from, std::string_view unit, ConvOptions options) {
    options.bias = true;
    if (units) return g.conv(from, unit, options);
    const auto inside = g.scope(unit);
    return g.conv(from, "conv", options);
  };
  const auto normed = [&](Value from, std::string_view unit, ConvOptions options) {
    if (units) return conv_unit(g, from, unit, options, kNoActivation);
    options.bias = true;
    const auto inside = g.scope(unit);
    return g.batch_norm(g.conv(from, "conv", options), "bn", kYoloBatchNorm);
  };
  const ConvOptions depthwise = {.out = channels, .kernel = 7, .groups = channels};
  const Value mixed = normed(x, "dwconv", depthwise);
  const Value first = conv(mixed, "f1", {.out = ratio * channels});
  const Value second = conv(mixed, "f2", {.out = ratio * channels});
  Value star = g.multiply(g.activation(first, ActivationKind::kRelu6), second);
  star = normed(star, "g", {.out = channels});
  return g.add(x, g.drop_path(conv(star, "dwconv2", depthwise), drop_path));
}

// The shortcut argument does nothing: the block has its own.
CspOptions star_options(const ModuleCall& call, double expansion) {
  call.boolean(1, false);
  return {.out = call.positive(0, 0), .repeats = call.repeats, .expansion = expansion};
}

Module star_container(const char* name, bool c2f, bool units) {
  return {
      .name = name,
      .channels = Module::Channels::kScaled,
      .takes_repeats = true,
      .arguments = {"channels", "shortcut", "groups", "expansion"},
      .build =
          [c2f, units](ModuleCall& call) {
            GraphBuilder& g = call.graph;
            call.positive(2, 1);
            const CspOptions options = star_options(call, call.number(3, 0.5));
            const CspUnit unit = [&](Value x, const std::string& path, int) {
              return fork_star_block(g, x, path, kStarRatio, 0, units);
            };
            return std::vector{(c2f ? c2f_of : c3_of)(g, call.input(), "", options, call.activation, unit)};
          },
      .reading =
          [c2f, units](const ModuleCall&) {
            return fmt::format("{} of StarNet blocks {}, [out, shortcut], out scaled", c2f ? "C2f" : "C3",
                               units ? "as convolution units" : "with biases");
          }};
}

const ModuleRegistration kC2fStar{star_container("C2f_Star", true, true)};
const ModuleRegistration kC3Star{star_container("C3_Star", false, true)};
const ModuleRegistration kC2fStarNb{star_container("C2f_StarNB", true, false)};

const ModuleRegistration kC3k2Star{
    {.name = "C3k2_Star",
     .channels = Module::Channels::kScaled,
     .takes_repeats = true,
     .arguments = {"channels", "c3k", "expansion"},
     .build =
         [](ModuleCall& call) {
           constexpr int kInner = 2;  // blocks of the C3 that c3k asks for
           GraphBuilder& g = call.graph;
           const bool c3k = call.boolean(1, false);
           const CspOptions options = {
               .out = call.positive(0, 0), .repeats = call.repeats, .expansion = call.number(2, 0.5)};
           const CspUnit star = [&](Value x, const std::string& path, int) {
             return fork_star_block(g, x, path, kStarRatio, 0, true);
           };
           const CspUnit inner = [&](Value x, const std::string& path, int channels) {
             return c3_of(g, x, path, {.out = channels, .repeats = kInner}, call.activation, star);
           };
           return std::vector{c2f_of(g, call.input(), "", options, call.activation, c3k ? inner : star)};
         },
     .reading =
         [](const ModuleCall&) { return "C3k2 of StarNet blocks, [out, c3k, expansion 0.5], out scaled"; }}};

const ModuleRegistration kStar{
    {.name = "Star",
     .channels = Module::Channels::kScaled,
     .arguments = {"channels", "ratio", "drop_path"},
     .build =
         [](ModuleCall& call) {
           const int in = call.graph.channels(call.input());
           if (const int channels = call.positive(0, in); channels != in)
             throw Error(ErrorKind::kModel,
                         fmt::format("{} channels, but the input has {}: a star block keeps the width",
                                     channels, in));
           const double drop = call.number(2, 0);
           if (!(drop >= 0 && drop < 1)) call.refuse(2, "a rate from 0 to 1");
           return std::vector{fork_star_block(call.graph, call.input(), "",
                                              call.positive(1, kStarRatio, kMaxStarRatio), drop, false)};
         },
     .reading = [](const ModuleCall&) { return "StarNet block of YOLOv8 forks, [out, ratio 3, drop 0]"; }}};

}  // namespace
}  // namespace marrow::nn
