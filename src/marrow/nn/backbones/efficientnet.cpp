// EfficientNet: inverted residuals with squeeze-and-excitation, scaled in width, depth and resolution
// together. Tan and Le 2019, arXiv:1905.11946.
//
// Parameter names are torchvision's. The sources differ in padding, batch-norm settings and initialisation,
// all in Style below.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/backbones/settings.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/squeeze_excite.h"

namespace marrow::nn {
namespace {

struct Stage {
  int repeats;
  int kernel;
  int stride;
  int expand;
  int out;  // of B0
};
constexpr std::array<Stage, 7> kStages = {{{1, 3, 1, 1, 16},
                                           {2, 3, 2, 6, 24},
                                           {2, 5, 2, 6, 40},
                                           {3, 3, 2, 6, 80},
                                           {3, 5, 1, 6, 112},
                                           {4, 5, 2, 6, 192},
                                           {1, 3, 1, 6, 320}}};
constexpr int kStemChannels = 32;
constexpr int kHeadChannels = 1280;
constexpr int kMaxExpand = 64;
// torchvision's B5 to B7 are TensorFlow's weights: they keep its batch-norm settings.
constexpr double kTorchvisionTensorFlowWidth = 1.6;

struct Style {
  bool same_padding = false;  // TensorFlow SAME, from the actual size; otherwise symmetric
  double eps = 1e-5;
  double momentum = 0.1;
  enum class Initial { kTorchvision, kTensorFlow, kPyTorch } initial = Initial::kTorchvision;

  Style() = default;
  Style(std::string_view source, double width) {
    if (source == "torchvision" && width >= kTorchvisionTensorFlowWidth) {
      eps = 1e-3;
      momentum = 0.01;
    } else if (source == "timm" || source == "tf") {
      initial = Initial::kTensorFlow;
      same_padding = source == "tf";
      if (same_padding) eps = 1e-3;
    } else if (source == "lukemelas") {
      initial = Initial::kPyTorch;
      same_padding = true;
      eps = 1e-3;
      momentum = 0.01;
    }
  }

  // Normal with variance 2 / fan-out. torchvision counts a depthwise convolution's fan-out as k * k *
  // channels, TensorFlow as k * k.
  std::optional<Init> conv_init(const ConvOptions& conv) const {
    if (initial == Initial::kPyTorch) return {};
    const int groups = initial == Initial::kTensorFlow ? conv.groups : 1;
    return Init::normal(
        std::sqrt(2.0 * groups / (static_cast<double>(conv.kernel) * conv.kernel * conv.out)));
  }
  std::optional<Init> bias_init() const {
    return initial == Initial::kPyTorch ? std::nullopt : std::optional(Init::constant(0));
  }
  std::optional<Init> linear_init(int classes) const {
    if (initial == Initial::kPyTorch) return {};
    return Init::uniform(1.0 / std::sqrt(static_cast<double>(classes)));
  }
};

struct EfficientNet {
  double width = 1;
  double depth = 1;
  double dropout = 0;
  double stochastic_depth = 0;
  bool halved = false;  // half of the published repeats and widths, before the factors
  // Above 0: SAME padding as for an image of this side, whatever the image's; EfficientNet-PyTorch fixes it
  // where it is told the size.
  int padded_side = 0;
  Style style;

  explicit EfficientNet(const BackboneConfig& config) {
    const Settings settings("efficientnet", config);
    width = settings.number("width", 0.01, 64);
    depth = settings.depth();
    dropout = settings.number("dropout", 0, 0.99);
    stochastic_depth = settings.number("stochastic_depth", 0, 0.99);
    halved = settings.flag("halved");
    if (settings.flag("static_padding")) padded_side = settings.integer("resolution", 32, 8192);
    style = Style(settings.text("source"), width);
  }

  int filters(int channels) const { return rounded(halved ? channels / 2 : channels); }
  int rounded(int channels) const {
    const double scaled = channels * width;
    const int nearest = std::max(8, 8 * static_cast<int>((scaled + 4) / 8));
    return nearest < 0.9 * scaled ? nearest + 8 : nearest;
  }
  int repeats(int repeats) const {
    return scaled_repeats(halved ? std::max(1, repeats / 2) : repeats, depth);
  }
};

// SAME padding of a convolution whose input has `side` rows and columns; `side` becomes its output's. Nothing
// where `side` is 0.
std::optional<Padding> padding_at(int& side, int kernel, int stride) {
  if (side == 0) return {};
  const int out = (side + stride - 1) / stride;
  const int total = std::max((out - 1) * stride + kernel - side, 0);
  side = out;
  return Padding{.before = total / 2, .after = total - total / 2};
}

Value conv_norm(GraphBuilder& g, Value x, std::string_view name, ConvOptions options, const Style& style) {
  auto scope = g.scope(name);
  options.weight_init = style.conv_init(options);
  if (style.same_padding && !options.padding) options.padding = Padding::tensorflow_same();
  return g.batch_norm(g.conv(x, "0", options), "1", {.eps = style.eps, .momentum = style.momentum});
}

Value conv_norm_silu(GraphBuilder& g, Value x, std::string_view name, const ConvOptions& options,
                     const Style& style) {
  return g.activation(conv_norm(g, x, name, options, style), ActivationKind::kSilu);
}

struct MBConv {
  int out = 0;
  int expand = 1;
  int kernel = 3;
  int stride = 1;
  double drop_path = 0;
  std::optional<Padding> padding = {};  // instead of the style's
};

Value mb_conv(GraphBuilder& g, Value input, const MBConv& block, const Style& style) {
  auto scope = g.scope("block");
  const int in = g.channels(input);
  const int wide = in * block.expand;
  int index = 0;
  Value x = input;
  if (block.expand != 1) x = conv_norm_silu(g, x, std::to_string(index++), {.out = wide}, style);
  x = conv_norm_silu(
      g, x, std::to_string(index++),
      {.out = wide, .kernel = block.kernel, .stride = block.stride, .groups = wide, .padding = block.padding},
      style);
  {
    auto squeeze = g.scope(std::to_string(index++));
    // A quarter of the block's input, not of the expanded width.
    const int hidden = std::max(1, in / 4);
    x = squeeze_excite(g, x,
                       {.hidden = hidden,
                        .activation = ActivationKind::kSilu,
                        .weight_init = style.conv_init({.out = hidden}),
                        .bias_init = style.bias_init()});
  }
  x = conv_norm(g, x, std::to_string(index), {.out = block.out}, style);
  if (block.stride != 1 || block.out != in) return x;
  return g.add(g.drop_path(x, block.drop_path), input);
}

Value stem(GraphBuilder& g, Value x, std::string_view name, int out, const Style& style,
           std::optional<Padding> padding = {}) {
  return conv_norm_silu(g, x, name, {.out = out, .kernel = 3, .stride = 2, .padding = padding}, style);
}

Features features(GraphBuilder& g, Value x, const BackboneConfig& config) {
  const EfficientNet net(config);
  int blocks = 0;
  for (const Stage& stage : kStages) blocks += net.repeats(stage.repeats);
  int side = net.padded_side;
  x = stem(g, x, "features.0", net.filters(kStemChannels), net.style, padding_at(side, 3, 2));
  g.tap("stem", x);
  std::array<Value, kStages.size()> ends;
  int index = 0;
  for (size_t s = 0; s < kStages.size(); ++s) {
    const Stage& stage = kStages[s];
    for (int repeat = 0; repeat < net.repeats(stage.repeats); ++repeat, ++index) {
      auto scope = g.scope(fmt::format("features.{}.{}", s + 1, repeat));
      const int stride = repeat == 0 ? stage.stride : 1;
      x = mb_conv(g, x,
                  {.out = net.filters(stage.out),
                   .expand = stage.expand,
                   .kernel = stage.kernel,
                   .stride = stride,
                   .drop_path = net.stochastic_depth * index / blocks,
                   .padding = padding_at(side, stage.kernel, stride)},
                  net.style);
    }
    ends[s] = x;
  }
  g.tap("c1", ends[0]);
  return {ends[1], ends[2], ends[4], ends[6], ends[0]};
}

Value classifier(GraphBuilder& g, Value x, const BackboneConfig& config, int classes) {
  const EfficientNet net(config);
  x = conv_norm_silu(g, x, "features.8", {.out = net.rounded(kHeadChannels)}, net.style);
  g.tap("head", x);
  x = g.flatten(g.dropout(g.global_average_pool(x), net.dropout));
  return g.linear(x, "classifier.1", classes, net.style.linear_init(classes), net.style.bias_init());
}

struct Published {
  double width, depth;
  int resolution;
  double dropout;
  int torchvision_resize, torchvision_crop;  // of its evaluation
};
constexpr std::array<Published, 8> kPublished = {{{1.0, 1.0, 224, 0.2, 256, 224},
                                                  {1.0, 1.1, 240, 0.2, 256, 240},
                                                  {1.1, 1.2, 260, 0.3, 288, 288},
                                                  {1.2, 1.4, 300, 0.3, 320, 300},
                                                  {1.4, 1.8, 380, 0.4, 384, 380},
                                                  {1.6, 2.2, 456, 0.4, 456, 456},
                                                  {1.8, 2.6, 528, 0.5, 528, 528},
                                                  {2.0, 3.1, 600, 0.5, 600, 600}}};

InputFormat input_format(const BackboneConfig& config) {
  const Settings settings("efficientnet", config);
  const int resolution = settings.integer("resolution", 32, 8192);
  const std::string source = settings.text("source");
  if (source == "torchvision")
    for (const Published& known : kPublished)
      if (known.resolution == resolution)
        return imagenet_format(known.torchvision_resize, known.torchvision_crop, Interpolation::kBicubic);
  // TensorFlow crops size / (size + 32) of the shorter side, and timm follows.
  const int margin = source == "lukemelas" ? 0 : 32;
  return imagenet_format(resolution + margin, resolution, Interpolation::kBicubic);
}

std::vector<BackboneVariant> variants() {
  std::vector<BackboneVariant> list;
  for (const bool tensorflow : {false, true})
    for (size_t i = 0; i < kPublished.size(); ++i) {
      const Published& known = kPublished[i];
      BackboneConfig config = {{"width", known.width},
                               {"depth", known.depth},
                               {"resolution", known.resolution},
                               {"dropout", known.dropout}};
      if (tensorflow) config["source"] = "tf";  // timm's name for TensorFlow's weights
      list.push_back({fmt::format("{}efficientnet_b{}", tensorflow ? "tf_" : "", i), config,
                      tensorflow ? std::vector<std::string>{"tf"}
                                 : std::vector<std::string>{"torchvision", "timm", "lukemelas"}});
    }
  return list;
}

struct BlockNames {
  std::string_view expand, expand_norm, depthwise, depthwise_norm, reduce, excite, project, project_norm;
};

// Rules from a block of the given names to one of ours. `from` may hold `wildcards` many wildcards.
void add_block_rules(std::vector<weights::RenameRule>& rules, const std::string& from, const std::string& to,
                     int wildcards, bool expands, const BlockNames& names) {
  const auto add = [&](std::string_view name, const std::string& ours) {
    rules.push_back(
        {fmt::format("{}.{}.**", from, name), fmt::format("{}.block.{}.{{{}}}", to, ours, wildcards + 1)});
  };
  int index = 0;
  if (expands) {
    add(names.expand, "0.0");
    add(names.expand_norm, "0.1");
    ++index;
  }
  add(names.depthwise, fmt::format("{}.0", index));
  add(names.depthwise_norm, fmt::format("{}.1", index));
  add(names.reduce, fmt::format("{}.fc1", index + 1));
  add(names.excite, fmt::format("{}.fc2", index + 1));
  add(names.project, fmt::format("{}.0", index + 2));
  add(names.project_norm, fmt::format("{}.1", index + 2));
}

std::vector<weights::RenameRule> timm_rules(const BackboneConfig&) {
  std::vector<weights::RenameRule> rules = {{"conv_stem.**", "features.0.0.{1}"},
                                            {"bn1.**", "features.0.1.{1}"},
                                            {"conv_head.**", "features.8.0.{1}"},
                                            {"bn2.**", "features.8.1.{1}"},
                                            {"classifier.**", "classifier.1.{1}"}};
  const BlockNames plain = {"", "", "conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw", "bn2"};
  const BlockNames expanding = {"conv_pw",        "bn1",      "conv_dw", "bn2", "se.conv_reduce",
                                "se.conv_expand", "conv_pwl", "bn3"};
  for (size_t s = 0; s < kStages.size(); ++s) {
    const bool expands = kStages[s].expand != 1;
    add_block_rules(rules, fmt::format("blocks.{}.*", s), fmt::format("features.{}.{{1}}", s + 1), 1, expands,
                    expands ? expanding : plain);
  }
  return rules;
}

// Blocks are numbered through all stages.
std::vector<weights::RenameRule> lukemelas_rules(const BackboneConfig& config) {
  const EfficientNet net(config);
  std::vector<weights::RenameRule> rules = {{"_conv_stem.**", "features.0.0.{1}"},
                                            {"_bn0.**", "features.0.1.{1}"},
                                            {"_conv_head.**", "features.8.0.{1}"},
                                            {"_bn1.**", "features.8.1.{1}"},
                                            {"_fc.**", "classifier.1.{1}"}};
  const BlockNames names = {"_expand_conv", "_bn0",       "_depthwise_conv", "_bn1",
                            "_se_reduce",   "_se_expand", "_project_conv",   "_bn2"};
  int index = 0;
  for (size_t s = 0; s < kStages.size(); ++s)
    for (int repeat = 0; repeat < net.repeats(kStages[s].repeats); ++repeat)
      add_block_rules(rules, fmt::format("_blocks.{}", index++), fmt::format("features.{}.{}", s + 1, repeat),
                      0, kStages[s].expand != 1, names);
  return rules;
}

const BackboneRegistration kEfficientNet{{
    .name = "efficientnet",
    .paper = "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, Tan and Le 2019, "
             "arXiv:1905.11946",
    .defaults = {{"source", "torchvision"},
                 {"width", 1.0},
                 {"depth", 1.0},
                 {"resolution", 224},
                 {"dropout", 0.2},
                 {"stochastic_depth", 0.2},
                 {"halved", false},
                 {"static_padding", false}},
    .sources = {{"torchvision", {"pytorch"}},
                {"timm"},
                {"tf", {"tensorflow", "timm_tf", "tf_efficientnet"}},
                {"lukemelas", {"efficientnet-pytorch", "efficientnet_pytorch"}}},
    .variants = variants(),
    .features = features,
    .classifier = classifier,
    .input_format = input_format,
    .layouts = {{.source = "torchvision",
                 .signature = {"features.1.0.block.0.0.weight"},
                 .rules =
                     [](const BackboneConfig&) {
                       return keep_names({"features", "classifier"});
                     }},
                {.source = "timm",
                 .signature = {"conv_stem.weight", "blocks.1.0.conv_pwl.weight"},
                 .rules = timm_rules},
                {.source = "tf",
                 .signature = {"conv_stem.weight", "blocks.1.0.conv_pwl.weight"},
                 .rules = timm_rules},
                {.source = "lukemelas",
                 .signature = {"_blocks.0._depthwise_conv.weight"},
                 .rules = lukemelas_rules}},
}};

// EfficientNetBlock [out, expand = 6, kernel = 3, stride = 1, drop_path = 0, source = torchvision]. Channels
// are literal; squeeze-and-excitation takes a quarter of the input's. The source decides padding, batch norm
// and initialisation.
const ModuleRegistration kEfficientNetBlock{{
    .name = "EfficientNetBlock",
    .arguments = {"channels", "expand", "kernel", "stride", "drop_path", "source"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      const std::string source = call.text(5, "torchvision");
      const BackboneChoice choice = choose_backbone("efficientnet", {{"source", source}});
      return {mb_conv(call.graph, call.input(),
                      {.out = call.positive(0, 0),
                       .expand = call.positive(1, 6, kMaxExpand),
                       .kernel = call.positive(2, 3, kMaxKernel),
                       .stride = call.positive(3, 1, 2),
                       .drop_path = call.number(4, 0)},
                      EfficientNet(choice.config).style)};
    },
}};

// EfficientNetStem [out]: 3x3 convolution of stride 2, batch norm, SiLU. Channels are literal.
const ModuleRegistration kStem{{
    .name = "EfficientNetStem",
    .arguments = {"channels"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {stem(call.graph, call.input(), "", call.positive(0, 0), Style())};
    },
}};

}  // namespace
}  // namespace marrow::nn
