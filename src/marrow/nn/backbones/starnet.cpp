// StarNet: element-wise products of two projections. Ma et al. 2024, "Rewrite the Stars", arXiv:2403.19967.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/error.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/backbones/settings.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr int kMaxRatio = 64;
constexpr int kStemChannels = 32;  // of the published ones, whatever the width of the stages

struct StarNet {
  int base_dim = 0;  // width of stage 0; each later stage doubles it
  int stem_dim = kStemChannels;
  double width = 1;         // a factor on all stages
  std::vector<int> depths;  // blocks of the four stages, after the depth factor
  int mlp_ratio = 4;
  double drop_path_rate = 0;  // of the last block; rises linearly from 0

  explicit StarNet(const BackboneConfig& config) {
    const Settings settings("starnet", config);
    base_dim = settings.integer("base_dim", 1, Settings::kMaxChannels / 8);
    stem_dim = settings.integer("stem_dim", 1, Settings::kMaxChannels);
    width = settings.number("width", 0.01, 8);
    depths = settings.integers("depths", 0, 64);
    mlp_ratio = settings.integer("mlp_ratio", 1, kMaxRatio);
    drop_path_rate = settings.number("drop_path_rate", 0, 0.99);
    if (depths.size() != 4) settings.fail("depths", "four numbers, one a stage");
    for (int& depth : depths) depth = scaled_repeats(depth, settings.depth());
    if (std::ranges::max(depths) > Settings::kMaxBlocks)
      settings.fail("depth", fmt::format("at most {} blocks in a stage", Settings::kMaxBlocks));
  }
};

// Every convolution has a bias, also before a batch norm.
Value conv(GraphBuilder& g, Value x, std::string_view name, ConvOptions options, bool norm) {
  auto scope = g.scope(name);
  options.bias = true;
  x = g.conv(x, "conv", options);
  return norm ? g.batch_norm(x, "bn") : x;
}

Value depthwise7(GraphBuilder& g, Value x, std::string_view name, bool norm) {
  return conv(g, x, name, {.out = g.channels(x), .kernel = 7, .groups = g.channels(x)}, norm);
}

Value star_block(GraphBuilder& g, Value x, int mlp_ratio, double drop_path) {
  const int channels = g.channels(x);
  const int wide = channels * mlp_ratio;
  const Value mixed = depthwise7(g, x, "dwconv", true);
  const Value first = conv(g, mixed, "f1", {.out = wide}, false);
  const Value second = conv(g, mixed, "f2", {.out = wide}, false);
  Value star = g.multiply(g.activation(first, ActivationKind::kRelu6), second);
  star = conv(g, star, "g", {.out = channels}, true);
  star = depthwise7(g, star, "dwconv2", false);
  return g.add(x, g.drop_path(star, drop_path));
}

Value downsample(GraphBuilder& g, Value x, std::string_view name, int out) {
  return conv(g, x, name, {.out = out, .kernel = 3, .stride = 2}, true);
}

Value stem(GraphBuilder& g, Value x, std::string_view name, int out) {
  return g.activation(downsample(g, x, name, out), ActivationKind::kRelu6);
}

Features features(GraphBuilder& g, Value x, const BackboneConfig& config) {
  const StarNet net(config);
  int blocks = 0;
  for (const int depth : net.depths) blocks += depth;
  const Value first = stem(g, x, "stem.0", net.stem_dim);
  x = first;
  g.tap("stem", x);
  std::array<Value, 4> maps;
  int index = 0;
  for (size_t stage = 0; stage < maps.size(); ++stage) {
    auto stage_scope = g.scope(fmt::format("stages.{}", stage));
    x = downsample(g, x, "0", scaled_channels(net.base_dim << stage, net.width));
    for (int block = 1; block <= net.depths[stage]; ++block, ++index) {
      auto scope = g.scope(std::to_string(block));
      x = star_block(g, x, net.mlp_ratio, blocks > 1 ? net.drop_path_rate * index / (blocks - 1) : 0);
    }
    maps[stage] = x;
  }
  return {maps[0], maps[1], maps[2], maps[3], first};
}

Value classifier(GraphBuilder& g, Value x, const BackboneConfig&, int classes) {
  x = g.flatten(g.global_average_pool(g.batch_norm(x, "norm")));
  return g.linear(x, "head", classes, Init::truncated_normal(0.02), Init::constant(0));
}

BackboneVariant variant(const char* name, int base_dim, std::vector<int> depths, int mlp_ratio,
                        double drop_path_rate) {
  return {name,
          {{"base_dim", base_dim},
           {"depths", depths},
           {"mlp_ratio", mlp_ratio},
           {"drop_path_rate", drop_path_rate}}};
}

const BackboneRegistration kStarNet{{
    .name = "starnet",
    .paper = "Rewrite the Stars, Ma et al. 2024, arXiv:2403.19967",
    .defaults = {{"source", "rewrite-the-stars"},
                 {"base_dim", 24},
                 {"stem_dim", kStemChannels},
                 {"width", 1.0},
                 {"depths", {2, 2, 8, 3}},
                 {"depth", 1.0},
                 {"mlp_ratio", 4},
                 {"drop_path_rate", 0.0}},
    // timm's copy has the same names and shapes.
    .sources = {{"rewrite-the-stars", {"starnet", "timm"}}},
    .variants =
        {variant("starnet_s050", 16, {1, 1, 3, 1}, 3, 0), variant("starnet_s100", 20, {1, 2, 4, 1}, 4, 0),
         variant("starnet_s150", 24, {1, 2, 4, 2}, 3, 0), variant("starnet_s1", 24, {2, 2, 8, 3}, 4, 0),
         variant("starnet_s2", 32, {1, 2, 6, 2}, 4, 0.01), variant("starnet_s3", 32, {2, 2, 8, 4}, 4, 0.01),
         variant("starnet_s4", 32, {3, 3, 12, 5}, 4, 0.02)},
    .features = features,
    .classifier = classifier,
    .input_format = [](const BackboneConfig&) { return imagenet_format(256, 224, Interpolation::kBicubic); },
    .layouts = {{.source = "rewrite-the-stars",
                 .signature = {"stem.0.conv.weight", "stages.0.1.dwconv.conv.weight"},
                 .rules =
                     [](const BackboneConfig&) {
                       return keep_names({"stem", "stages", "norm", "head"});
                     }},
                // timm's feature extraction writes lists with an underscore.
                {.source = "rewrite-the-stars",
                 .signature = {"stem_0.conv.weight", "stages_0.1.dwconv.conv.weight"},
                 .rules =
                     [](const BackboneConfig&) {
                       return std::vector<weights::RenameRule>{{"norm.**", "norm.{1}"},
                                                               {"head.**", "head.{1}"},
                                                               {"stem_*.**", "stem.{1}.{2}"},
                                                               {"stages_*.**", "stages.{1}.{2}"}};
                     }}},
}};

// StarNetBlock [channels, mlp_ratio = 3, drop_path = 0]: width and size stay, so channels are the input's. 3
// is the ratio of the block in the paper's code; its networks use 3 (s050, s150) or 4.
const ModuleRegistration kStarNetBlock{{
    .name = "StarNetBlock",
    .arguments = {"channels", "mlp_ratio", "drop_path"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      const Value x = call.input();
      const int in = call.graph.channels(x);
      if (const int channels = call.positive(0, in); channels != in)
        throw Error(ErrorKind::kModel,
                    fmt::format("{} channels, but the input has {}: a star block keeps the width; put a "
                                "StarNetDown in front",
                                channels, in));
      return {star_block(call.graph, x, call.positive(1, 3, kMaxRatio), call.number(2, 0))};
    },
}};

// StarNetDown [out]: 3x3 convolution of stride 2 and batch norm; begins each stage. Channels are literal.
const ModuleRegistration kStarNetDown{{
    .name = "StarNetDown",
    .arguments = {"channels"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {downsample(call.graph, call.input(), "", call.positive(0, 0))};
    },
}};

// StarNetStem [out = 32]: the same with ReLU6.
const ModuleRegistration kStarNetStem{{
    .name = "StarNetStem",
    .arguments = {"channels"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {stem(call.graph, call.input(), "", call.positive(0, kStemChannels))};
    },
}};

}  // namespace
}  // namespace marrow::nn
