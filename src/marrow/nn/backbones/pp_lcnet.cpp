// PP-LCNet: depthwise separable convolutions with hard-swish and no residual. Cui et al. 2021,
// arXiv:2109.15099.
//
// PaddleClas is the reference implementation; timm's lcnet and the PyTorch port of ngnquan differ in a few
// places, all in PPLCNet below.
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

constexpr int kHeadChannels = 1280;  // not scaled

// Names as PaddleClas': "blocks<group>.<index>".
struct Block {
  int group;
  int index;
  int kernel;
  int out;  // at scale 1
  int stride;
  bool se;
};
constexpr std::array<Block, 13> kBlocks = {{{2, 0, 3, 32, 1, false},
                                            {3, 0, 3, 64, 2, false},
                                            {3, 1, 3, 64, 1, false},
                                            {4, 0, 3, 128, 2, false},
                                            {4, 1, 3, 128, 1, false},
                                            {5, 0, 3, 256, 2, false},
                                            {5, 1, 5, 256, 1, false},
                                            {5, 2, 5, 256, 1, false},
                                            {5, 3, 5, 256, 1, false},
                                            {5, 4, 5, 256, 1, false},
                                            {5, 5, 5, 256, 1, false},
                                            {6, 0, 5, 512, 2, true},
                                            {6, 1, 5, 512, 1, true}}};

// The blocks of a network of that depth: a group that grows repeats its last block, which has stride 1; one
// that shrinks loses its last.
std::vector<Block> blocks_of(const BackboneConfig& config) {
  const double depth = Settings("pp_lcnet", config).depth();
  std::vector<Block> blocks;
  for (auto first = kBlocks.begin(); first != kBlocks.end();) {
    const auto end =
        std::find_if(first, kBlocks.end(), [&](const Block& b) { return b.group != first->group; });
    const int published = static_cast<int>(end - first);
    for (int index = 0; index < scaled_repeats(published, depth); ++index) {
      blocks.push_back(first[std::min(index, published - 1)]);
      blocks.back().index = index;
      if (index >= published) blocks.back().stride = 1;
    }
    first = end;
  }
  return blocks;
}

// To the nearest multiple of 8, never more than a tenth below.
int round_to_8(double channels) {
  const int rounded = std::max(8, 8 * static_cast<int>(std::floor((channels + 4) / 8)));
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

struct PPLCNet {
  double scale = 1;
  bool stem_norm = true;
  int first_kernel_at_stride_16 = 3;
  bool round_se_hidden = false;  // to a multiple of 8
  bool head_bias = false;
  double dropout = 0;  // Paddle's kind: inference multiplies by 1 - rate

  explicit PPLCNet(const BackboneConfig& config) {
    const Settings settings("pp_lcnet", config);
    scale = settings.number("scale", 0.01, 64);
    const std::string source = settings.text("source");
    if (source == "paddle") dropout = 0.2;
    if (source == "timm") head_bias = true;
    if (source == "ngnquan") {
      stem_norm = false;
      first_kernel_at_stride_16 = 5;
      round_se_hidden = true;
      head_bias = true;
    }
  }

  int width(int channels) const { return round_to_8(channels * scale); }
  int se_hidden(int channels) const { return round_se_hidden ? round_to_8(channels / 4) : channels / 4; }
};

// Paddle's default for a convolution; linear layers are Xavier uniform.
Init conv_init(int in, int kernel) {
  return Init::normal(std::sqrt(2.0 / (static_cast<double>(in) * kernel * kernel)));
}

Value conv_norm_act(GraphBuilder& g, Value x, std::string_view name, ConvOptions options, bool norm = true) {
  auto scope = g.scope(name);
  options.weight_init = conv_init(g.channels(x) / options.groups, options.kernel);
  x = g.conv(x, "conv", options);
  if (norm) x = g.batch_norm(x, "bn");
  return g.activation(x, ActivationKind::kHardSwish);
}

Value stem(GraphBuilder& g, Value x, std::string_view name, int out, bool norm) {
  return conv_norm_act(g, x, name, {.out = out, .kernel = 3, .stride = 2}, norm);
}

// `se_hidden` 0: no squeeze-and-excitation.
Value depthwise_separable(GraphBuilder& g, Value x, int out, int kernel, int stride, int se_hidden) {
  const int in = g.channels(x);
  x = conv_norm_act(g, x, "dw_conv", {.out = in, .kernel = kernel, .stride = stride, .groups = in});
  if (se_hidden > 0) {
    auto scope = g.scope("se");
    x = squeeze_excite(g, x,
                       {.hidden = se_hidden,
                        .gate = ActivationKind::kHardSigmoid,
                        .reduce = "conv1",
                        .expand = "conv2",
                        .weight_init = conv_init(in, 1),
                        .bias_init = Init::constant(0)});
  }
  return conv_norm_act(g, x, "pw_conv", {.out = out});
}

Features features(GraphBuilder& g, Value x, const BackboneConfig& config) {
  const PPLCNet net(config);
  x = stem(g, x, "conv1", net.width(16), net.stem_norm);
  g.tap("stem", x);
  std::array<Value, 7> last;  // of each group
  for (const Block& block : blocks_of(config)) {
    auto scope = g.scope(fmt::format("blocks{}.{}", block.group, block.index));
    const bool first_at_stride_16 = block.group == 5 && block.index == 0;
    x = depthwise_separable(g, x, net.width(block.out),
                            first_at_stride_16 ? net.first_kernel_at_stride_16 : block.kernel, block.stride,
                            block.se ? net.se_hidden(g.channels(x)) : 0);
    last[static_cast<size_t>(block.group)] = x;
  }
  g.tap("s2", last[2]);
  return {last[3], last[4], last[5], last[6], last[2]};
}

Value classifier(GraphBuilder& g, Value x, const BackboneConfig& config, int classes) {
  const PPLCNet net(config);
  const int in = g.channels(x);
  x = g.conv(g.global_average_pool(x), "last_conv",
             {.out = kHeadChannels,
              .bias = net.head_bias,
              .weight_init = conv_init(in, 1),
              .bias_init = Init::constant(0)});
  x = g.activation(x, ActivationKind::kHardSwish);
  x = g.flatten(g.dropout(x, net.dropout, true));
  return g.linear(x, "fc", classes, Init::uniform(std::sqrt(6.0 / (kHeadChannels + classes))),
                  Init::constant(0));
}

InputFormat input_format(const BackboneConfig& config) {
  const bool timm = Settings("pp_lcnet", config).text("source") == "timm";
  return imagenet_format(256, 224, timm ? Interpolation::kBicubic : Interpolation::kOpenCvBilinear);
}

std::vector<BackboneVariant> variants() {
  std::vector<BackboneVariant> list;
  for (const int percent : {25, 35, 50, 75, 100, 150, 200, 250}) {
    const std::string hundredths =
        percent % 50 == 0 ? std::to_string(percent % 100 / 10) : std::to_string(percent % 100);
    list.push_back({fmt::format("pp_lcnet_x{}_{}", percent / 100, hundredths), {{"scale", percent / 100.0}}});
  }
  for (const int percent : {35, 50, 75, 100, 150})  // as timm calls them
    list.push_back({fmt::format("lcnet_{:03}", percent), {{"scale", percent / 100.0}, {"source", "timm"}}});
  return list;
}

std::vector<weights::RenameRule> paddle_rules(const std::string& prefix) {
  std::vector<weights::RenameRule> rules = {
      {prefix + "**._mean", "{1}.running_mean"},
      {prefix + "**._variance", "{1}.running_var"},
      {prefix + "fc.weight", "fc.weight", weights::RenameTransform::kTranspose2d},
  };
  for (const std::string part :
       {"conv1", "blocks2", "blocks3", "blocks4", "blocks5", "blocks6", "last_conv", "fc"})
    rules.push_back({prefix + part + ".**", part + ".{1}"});
  return rules;
}

std::vector<weights::RenameRule> timm_rules(const BackboneConfig& config) {
  std::vector<weights::RenameRule> rules = {{"conv_stem.**", "conv1.conv.{1}"},
                                            {"bn1.**", "conv1.bn.{1}"},
                                            {"conv_head.**", "last_conv.{1}"},
                                            {"classifier.**", "fc.{1}"}};
  for (const Block& block : blocks_of(config)) {
    // timm's groups: blocks2, 3, 4, the first two of blocks5, the other four, blocks6.
    const bool later = block.group == 6 || (block.group == 5 && block.index >= 2);
    const int group = block.group - (later ? 1 : 2);
    const int index = block.group == 5 && later ? block.index - 2 : block.index;
    const std::string from = fmt::format("blocks.{}.{}.", group, index);
    const std::string to = fmt::format("blocks{}.{}.", block.group, block.index);
    rules.push_back({from + "conv_dw.**", to + "dw_conv.conv.{1}"});
    rules.push_back({from + "bn1.**", to + "dw_conv.bn.{1}"});
    rules.push_back({from + "se.conv_reduce.**", to + "se.conv1.{1}"});
    rules.push_back({from + "se.conv_expand.**", to + "se.conv2.{1}"});
    rules.push_back({from + "conv_pw.**", to + "pw_conv.conv.{1}"});
    rules.push_back({from + "bn2.**", to + "pw_conv.bn.{1}"});
  }
  return rules;
}

std::vector<weights::RenameRule> ngnquan_rules(const BackboneConfig& config) {
  std::vector<weights::RenameRule> rules = {
      {"features.0.**", "conv1.conv.{1}"}, {"fc.**", "last_conv.{1}"}, {"classifier.**", "fc.{1}"}};
  int feature = 2;  // 1 is the stem's activation
  for (const Block& block : blocks_of(config)) {
    const std::string from = fmt::format("features.{}.conv.", feature++);
    const std::string to = fmt::format("blocks{}.{}.", block.group, block.index);
    rules.push_back({from + "0.**", to + "dw_conv.conv.{1}"});
    rules.push_back({from + "1.**", to + "dw_conv.bn.{1}"});
    if (block.se) {
      rules.push_back({from + "3.fc.0.**", to + "se.conv1.{1}"});
      rules.push_back({from + "3.fc.2.**", to + "se.conv2.{1}"});
    }
    rules.push_back({from + (block.se ? "4.**" : "3.**"), to + "pw_conv.conv.{1}"});
    rules.push_back({from + (block.se ? "5.**" : "4.**"), to + "pw_conv.bn.{1}"});
  }
  return rules;
}

const BackboneRegistration kPPLCNet{{
    .name = "pp_lcnet",
    .paper = "PP-LCNet: A Lightweight CPU Convolutional Neural Network, Cui et al. 2021, arXiv:2109.15099",
    .defaults = {{"source", "paddle"}, {"scale", 1.0}, {"depth", 1.0}},
    .sources = {{"paddle", {"PaddleClas", "PaddleDetection"}}, {"timm"}, {"ngnquan", {"seed"}}},
    .variants = variants(),
    .features = features,
    .classifier = classifier,
    .input_format = input_format,
    .layouts = {{.source = "paddle",
                 .signature = {"blocks2.0.dw_conv.conv.weight"},
                 .rules = [](const BackboneConfig&) { return paddle_rules(""); }},
                {.source = "paddle",  // distilled: the student beside its teacher
                 .signature = {"Student.blocks2.0.dw_conv.conv.weight"},
                 .rules = [](const BackboneConfig&) { return paddle_rules("Student."); }},
                {.source = "timm",
                 .signature = {"conv_stem.weight", "blocks.5.0.conv_pw.weight"},
                 .absent = {"blocks.1.0.conv_pwl.weight"},  // timm's EfficientNet
                 .rules = timm_rules},
                {.source = "ngnquan", .signature = {"features.2.conv.0.weight"}, .rules = ngnquan_rules}},
}};

// DepSepConv [out, kernel = 3, stride = 1, se = false]: PaddleClas' block. Channels are literal.
const ModuleRegistration kDepSepConv{{
    .name = "DepSepConv",
    .arguments = {"channels", "kernel", "stride", "se"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      const Value x = call.input();
      const int hidden = call.boolean(3, false) ? std::max(1, call.graph.channels(x) / 4) : 0;
      return {depthwise_separable(call.graph, x, call.positive(0, 0), call.positive(1, 3, kMaxKernel),
                                  call.positive(2, 1, 2), hidden)};
    },
}};

// LCNetStem [out]: 3x3 convolution of stride 2, batch norm, hard-swish. Channels are literal.
const ModuleRegistration kStem{{
    .name = "LCNetStem",
    .arguments = {"channels"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {stem(call.graph, call.input(), "", call.positive(0, 0), true)};
    },
}};

}  // namespace
}  // namespace marrow::nn
