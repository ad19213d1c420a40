// VanillaNet: a plain chain of 1x1 convolutions, max pools and series activations. Chen et al. 2023,
// arXiv:2305.12972.
//
// Two forms of one description. The train form has pairs of convolutions with a leaky ReLU of slope
// `act_learn` between them; at slope 1 a pair is linear and equals the single convolution of the deploy form.
// The general passes (fold batch norm, merge linear convolutions) turn the first form into the second.
#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/backbones/settings.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr double kNormEps = 1e-6;
constexpr int kMaxActNum = 16;
constexpr std::string_view kSlope = "act_learn";

struct VanillaNet {
  std::vector<int> dims;      // D0 of the stem, then one a block, after the width factor
  std::vector<int> strides;   // one a block, 1 or 2
  std::vector<int> ada_pool;  // empty, or one a block: the side of the fixed grid, 0 for the normal pool
  int act_num = 3;            // the series activation sums (2 act_num + 1)^2 shifted copies
  double drop_rate = 0;
  bool deploy = false;

  explicit VanillaNet(const BackboneConfig& config) {
    const Settings settings("vanillanet", config);
    dims = settings.integers("dims", 1, Settings::kMaxChannels);
    const double width = settings.number("width", 0.01, 8);
    for (int& dim : dims) dim = scaled_channels(dim, width);
    strides = settings.integers("strides", 1, 2);
    ada_pool = settings.integers("ada_pool", 0, 4096);
    act_num = settings.integer("act_num", 1, kMaxActNum);
    drop_rate = settings.number("drop_rate", 0, 0.99);
    deploy = settings.flag("deploy");
    if (std::ranges::count(strides, 2) != 3)
      settings.fail("strides", "three strides of 2 among ones, for maps of stride 8, 16 and 32");
    if (dims.size() != strides.size() + 1)
      settings.fail("dims", fmt::format("{}: the stem's, then one a block", strides.size() + 1));
    if (!ada_pool.empty() && ada_pool.size() != strides.size())
      settings.fail("ada_pool", fmt::format("{}: one a block", strides.size()));
    if (const double depth = settings.depth(); depth != 1) repeat_blocks(depth);
    if (strides.size() > Settings::kMaxBlocks)
      settings.fail("depth",
                    fmt::format("at most {} blocks; these are {}", Settings::kMaxBlocks, strides.size()));
  }

 private:
  // A stage is a block of stride 2 with those of stride 1 behind it. One that grows repeats its last block at
  // stride 1; one that shrinks loses its last.
  void repeat_blocks(double depth) {
    const VanillaNet published = *this;
    dims.resize(1);
    strides.clear();
    ada_pool.clear();
    for (size_t first = 0, end = 0; first < published.strides.size(); first = end) {
      end = first + 1;
      while (end < published.strides.size() && published.strides[end] == 1) ++end;
      const size_t repeats = static_cast<size_t>(scaled_repeats(static_cast<int>(end - first), depth));
      for (size_t i = 0; i < repeats; ++i) {
        const size_t block = std::min(first + i, end - 1);
        const bool added = first + i >= end;
        dims.push_back(published.dims[block + 1]);
        strides.push_back(added ? 1 : published.strides[block]);
        if (!published.ada_pool.empty()) ada_pool.push_back(added ? 0 : published.ada_pool[block]);
      }
    }
  }
};

// One scalar for the whole network: blocks that are lines of their own share the first one's.
std::string slope_of(GraphBuilder& g) {
  for (const Parameter& parameter : g.graph().parameters)
    if (parameter.role == ParameterRole::kScalar && parameter.name.ends_with(kSlope)) return parameter.name;
  return g.scalar(kSlope, 1);
}

Value norm(GraphBuilder& g, Value x, std::string_view name) {
  return g.batch_norm(x, name, {.eps = kNormEps});
}

Value conv(GraphBuilder& g, Value x, std::string_view name, ConvOptions options) {
  options.bias = true;
  options.weight_init = Init::truncated_normal(0.02);
  options.bias_init = Init::constant(0);
  return g.conv(x, name, options);
}

// ReLU, then a depthwise convolution over (2n + 1) x (2n + 1) neighbours. Nothing non-linear follows.
Value series_activation(GraphBuilder& g, Value x, std::string_view name, int act_num, bool deploy) {
  const int channels = g.channels(x);
  x = g.activation(x, ActivationKind::kRelu);
  x = g.conv(x, name,
             {.out = channels,
              .kernel = 2 * act_num + 1,
              .groups = channels,
              .bias = deploy,
              .weight_init = Init::truncated_normal(0.02),
              .bias_init = Init::constant(0)});
  return deploy ? x : norm(g, x, std::string(name) + ".bn");
}

struct PairNames {
  std::string_view first, first_norm, second, second_norm;  // an empty norm: there is none
  std::string_view deploy;
};

// conv, norm, leaky ReLU, 1x1 conv, norm; in deploy form the one convolution that they make at slope 1.
Value conv_pair(GraphBuilder& g, Value x, const PairNames& names, ConvOptions first, int out, bool deploy) {
  if (deploy) {
    first.out = out;
    return conv(g, x, names.deploy, first);
  }
  x = norm(g, conv(g, x, names.first, first), names.first_norm);
  x = g.leaky_relu(x, slope_of(g));
  x = conv(g, x, names.second, {.out = out});
  return names.second_norm.empty() ? x : norm(g, x, names.second_norm);
}

struct Block {
  int out = 0;
  int stride = 1;
  int ada_pool = 0;  // the side of the grid that the pool fills; 0: the pool follows the map
  int act_num = 3;
  bool deploy = false;
};

Value vanilla_block(GraphBuilder& g, Value x, const Block& block) {
  x = conv_pair(g, x, {"conv1.0", "conv1.1", "conv2.0", "conv2.1", "conv"}, {.out = g.channels(x)}, block.out,
                block.deploy);
  if (block.stride != 1)
    x = block.ada_pool > 0 ? g.adaptive_max_pool(x, block.ada_pool)
                           : g.max_pool(x, block.stride, block.stride);
  return series_activation(g, x, "act", block.act_num, block.deploy);
}

Value stem(GraphBuilder& g, Value x, int out, bool ada_pool, int act_num, bool deploy) {
  const ConvOptions first = {
      .out = out, .kernel = 4, .stride = ada_pool ? 3 : 4, .padding = Padding::symmetric(ada_pool ? 1 : 0)};
  x = conv_pair(g, x, {"stem1.0", "stem1.1", "stem2.0", "stem2.1", "stem.0"}, first, out, deploy);
  return series_activation(g, x, deploy ? "stem.1" : "stem2.2", act_num, deploy);
}

Features features(GraphBuilder& g, Value x, const BackboneConfig& config) {
  const VanillaNet net(config);
  // With fixed grids the true strides depend on the image; the maps keep the plain variants' names.
  int stride = 4;
  x = stem(g, x, net.dims[0], !net.ada_pool.empty(), net.act_num, net.deploy);
  g.tap("stem", x);
  Features features{x, x, x, x};
  for (size_t i = 0; i < net.strides.size(); ++i) {
    auto scope = g.scope(fmt::format("stages.{}", i));
    x = vanilla_block(g, x,
                      {.out = net.dims[i + 1],
                       .stride = net.strides[i],
                       .ada_pool = net.ada_pool.empty() ? 0 : net.ada_pool[i],
                       .act_num = net.act_num,
                       .deploy = net.deploy});
    stride *= net.strides[i];
    (stride == 4 ? features.c2 : stride == 8 ? features.c3 : stride == 16 ? features.c4 : features.c5) = x;
  }
  return features;
}

Value classifier(GraphBuilder& g, Value x, const BackboneConfig& config, int classes) {
  const VanillaNet net(config);
  x = g.dropout(g.global_average_pool(x), net.drop_rate);
  x = conv_pair(g, x, {"cls1.2", "cls1.3", "cls2.0", "", "cls.2"}, {.out = classes}, classes, net.deploy);
  return g.flatten(x);
}

InputFormat input_format(const BackboneConfig&) {
  return imagenet_format(256, 224, Interpolation::kBicubic);
}

// Blocks of one width follow each other: dims {512, 512, 1024, 2048 x n, 4096 x 2}, all times `width`.
BackboneConfig deep(int at_stride_16, double width) {
  const auto scaled = [&](int dim) { return static_cast<int>(dim * width); };
  std::vector<int> dims = {scaled(512), scaled(512), scaled(1024)};
  std::vector<int> strides = {1, 2, 2};
  dims.insert(dims.end(), static_cast<size_t>(at_stride_16), scaled(2048));
  strides.insert(strides.end(), static_cast<size_t>(at_stride_16 - 1), 1);
  dims.insert(dims.end(), 2, scaled(4096));
  strides.insert(strides.end(), {2, 1});
  return {{"dims", dims}, {"strides", strides}};
}

std::vector<BackboneVariant> variants() {
  std::vector<BackboneVariant> list = {
      {"vanillanet_5", {{"dims", {512, 1024, 2048, 4096}}, {"strides", {2, 2, 2}}}},
      {"vanillanet_6", {{"dims", {512, 1024, 2048, 4096, 4096}}, {"strides", {2, 2, 2, 1}}}},
  };
  for (int k = 7; k <= 13; ++k) list.push_back({fmt::format("vanillanet_{}", k), deep(k - 6, 1)});
  BackboneConfig detection = deep(7, 1);
  detection["act_num"] = 4;
  BackboneConfig ada_pool = deep(7, 1.5);
  ada_pool["ada_pool"] = {0, 38, 19, 0, 0, 0, 0, 0, 0, 10, 0};
  list.push_back({"vanillanet_13_act_num_4", detection});
  list.push_back({"vanillanet_13_x1_5", deep(7, 1.5)});
  list.push_back({"vanillanet_13_x1_5_ada_pool", ada_pool});
  return list;
}

const BackboneRegistration kVanillaNet{{
    .name = "vanillanet",
    .paper = "VanillaNet: the Power of Minimalism in Deep Learning, Chen et al. 2023, arXiv:2305.12972",
    .defaults = {{"source", "vanillanet"},
                 {"dims", {512, 1024, 2048, 4096}},
                 {"width", 1.0},
                 {"depth", 1.0},
                 {"strides", {2, 2, 2}},
                 {"ada_pool", nullptr},
                 {"act_num", 3},
                 {"drop_rate", 0.0},
                 {"deploy", false}},
    .sources = {{"vanillanet", {"huawei-noah"}}},
    .variants = variants(),
    .features = features,
    .classifier = classifier,
    .input_format = input_format,
    .layouts = {{.source = "vanillanet",
                 .signature = {"stem1.0.weight", "stages.0.conv1.0.weight"},
                 .rules =
                     [](const BackboneConfig&) {
                       return keep_names({"stem1", "stem2", "stages", "cls1", "cls2"});
                     }},
                {.source = "vanillanet",
                 .signature = {"stem.1.weight", "stages.0.act.bias"},
                 .config = {{"deploy", true}},
                 .rules =
                     [](const BackboneConfig&) {
                       return keep_names({"stem", "stages", "cls"});
                     }}},
}};

// VanillaNetBlock [out, stride = 1, act_num = 3]. Channels are literal. A max pool makes the stride.
const ModuleRegistration kVanillaNetBlock{{
    .name = "VanillaNetBlock",
    .arguments = {"channels", "stride", "act_num"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {vanilla_block(call.graph, call.input(),
                            {.out = call.positive(0, 0),
                             .stride = call.positive(1, 1, 2),
                             .act_num = call.positive(2, 3, kMaxActNum)})};
    },
}};

// VanillaNetStem [out, act_num = 3]: the 4x4 convolution of stride 4 and its pair.
const ModuleRegistration kVanillaNetStem{{
    .name = "VanillaNetStem",
    .arguments = {"channels", "act_num"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {
          stem(call.graph, call.input(), call.positive(0, 0), false, call.positive(1, 3, kMaxActNum), false)};
    },
}};

}  // namespace
}  // namespace marrow::nn
