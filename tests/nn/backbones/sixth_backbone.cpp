// A sixth backbone, made up: what it takes to add one. Nothing else in the tree knows about it.
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/backbones/settings.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

// x + norm(depthwise 3x3(relu(norm(1x1(x))))).
Value pebble_block(GraphBuilder& g, Value x) {
  const int channels = g.channels(x);
  Value y = g.activation(g.batch_norm(g.conv(x, "mix", {.out = channels}), "norm"), ActivationKind::kRelu);
  y = g.batch_norm(g.conv(y, "spread", {.out = channels, .kernel = 3, .groups = channels}), "norm2");
  return g.add(x, y);
}

Value halve(GraphBuilder& g, Value x, std::string_view name, int out) {
  return g.activation(g.conv(x, name, {.out = out, .kernel = 3, .stride = 2, .bias = true}),
                      ActivationKind::kMish);
}

Features features(GraphBuilder& g, Value x, const BackboneConfig& config) {
  const int width = Settings("pebblenet", config).integer("width", 1, 1024);
  x = halve(g, x, "stem", width);
  Value maps[4];
  for (int stage = 0; stage < 4; ++stage) {
    auto scope = g.scope("stage" + std::to_string(stage));
    x = maps[stage] = pebble_block(g, halve(g, x, "down", width << stage));
  }
  return {maps[0], maps[1], maps[2], maps[3]};
}

Value classifier(GraphBuilder& g, Value c5, const BackboneConfig&, int classes) {
  return g.linear(g.flatten(g.global_average_pool(c5)), "head", classes);
}

const BackboneRegistration kPebbleNet{{
    .name = "pebblenet",
    .paper = "made up",
    .defaults = {{"source", "quarry"}, {"width", 8}},
    .sources = {{"quarry"}},
    .variants = {{"pebblenet_s", {{"width", 8}}}, {"pebblenet_m", {{"width", 12}}}},
    .features = features,
    .classifier = classifier,
    .input_format = [](const BackboneConfig&) { return imagenet_format(64, 64, Interpolation::kBilinear); },
    .layouts = {{.source = "quarry",
                 .signature = {"stone.stem.weight"},
                 .rules =
                     [](const BackboneConfig&) {
                       return std::vector<weights::RenameRule>{{"stone.**", "{1}"}};
                     }}},
}};

const ModuleRegistration kPebbleBlock{{.name = "PebbleBlock", .build = [](ModuleCall& call) {
                                         return std::vector{pebble_block(call.graph, call.input())};
                                       }}};

}  // namespace
}  // namespace marrow::nn
