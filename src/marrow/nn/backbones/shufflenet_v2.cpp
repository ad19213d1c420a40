// ShuffleNet V2: half of the channels pass each unit untouched. Ma et al. 2018, arXiv:1807.11164.
//
// Two wirings exist. torchvision's units end with a shuffle; the authors' (Megvii) start with one, and the
// first unit of a stage splits its width differently. Weights of one do not fit the other.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/backbones/settings.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {
namespace {

constexpr std::array<int, 3> kRepeats = {4, 8, 4};  // published units of stages 2, 3 and 4

struct Width {
  double width;
  std::array<int, 5> channels;  // stem, stages 2 to 4, conv5
};
constexpr std::array<Width, 4> kWidths = {{{0.5, {24, 48, 96, 192, 1024}},
                                           {1.0, {24, 116, 232, 464, 1024}},
                                           {1.5, {24, 176, 352, 704, 1024}},
                                           {2.0, {24, 244, 488, 976, 2048}}}};

constexpr std::array<int, 3> kForkedRepeats = {8, 4, 4};
constexpr Width kForkedWidest = {2.0, {24, 224, 488, 976, 2048}};

// Published widths as they are, others on straight lines between them (beyond them, in proportion to the
// nearest), to a multiple of 8. The stem is 24 in all published ones, so it is here.
std::vector<int> channels_at(double width) {
  for (const Width& known : kWidths)
    if (known.width == width) return {known.channels.begin(), known.channels.end()};
  const auto above = std::ranges::find_if(kWidths, [&](const Width& known) { return known.width > width; });
  const Width nothing = {};
  const Width& low = above == kWidths.begin() ? nothing : above == kWidths.end() ? nothing : *(above - 1);
  const Width& high = above == kWidths.end() ? kWidths.back() : *above;
  const double share = (width - low.width) / (high.width - low.width);
  const auto between = [&](size_t i) {
    const double channels = low.channels[i] + share * (high.channels[i] - low.channels[i]);
    return std::max(8, 8 * static_cast<int>(std::lround(channels / 8)));
  };
  // As published, each stage has twice the channels of the one before.
  const int stage2 = between(1);
  return {kWidths.front().channels.front(), stage2, 2 * stage2, 4 * stage2, between(4)};
}

struct ShuffleNetV2 {
  std::vector<int> channels;     // stem, stages 2 to 4, conv5
  std::array<int, 3> repeats{};  // units of stages 2, 3 and 4
  bool megvii = false;
  bool detection = false;  // V2*: see Unit
  // As YOLOv8 forks have it: 8, 4 and 4 units, 224 channels at width 2, and the first unit's map before the
  // others.
  bool forked = false;
  double dropout = 0;

  explicit ShuffleNetV2(const BackboneConfig& config) {
    const Settings settings("shufflenet_v2", config);
    megvii = settings.text("source") == "megvii";
    detection = settings.flag("detection");
    channels = settings.integers("channels", 2, Settings::kMaxChannels);
    if (!channels.empty() && channels.size() != 5) settings.fail("channels", "5: stem, three stages, conv5");
    const double width = settings.number("width", 0.1, 16);
    forked = settings.flag("forked");
    if (forked && channels.empty() && width == kForkedWidest.width)
      channels.assign(kForkedWidest.channels.begin(), kForkedWidest.channels.end());
    if (channels.empty()) channels = channels_at(width);
    if (megvii && width >= 2.0) dropout = 0.2;
    for (size_t stage = 0; stage < repeats.size(); ++stage)
      repeats[stage] = scaled_repeats((forked ? kForkedRepeats : kRepeats)[stage], settings.depth());
  }
};

struct Unit {
  int out = 0;
  int stride = 1;
  bool megvii = false;
  // V2*, for detectors: a 3x3 depthwise convolution with batch norm before the first 1x1 one of the main
  // branch enlarges the receptive field. The paper says "before the first pointwise convolution" and no more;
  // that nothing else is added is this project's reading.
  bool detection = false;
};

Value conv_norm(GraphBuilder& g, Value x, int index, ConvOptions options, bool megvii) {
  const double fan_in = static_cast<double>(g.channels(x)) / options.groups;
  if (megvii) options.weight_init = Init::normal(1.0 / fan_in);
  x = g.conv(x, std::to_string(index), options);
  return g.batch_norm(x, std::to_string(index + 1), {.bias_init = Init::constant(megvii ? 0.0001 : 0)});
}

Value pointwise(GraphBuilder& g, Value x, int index, int out, bool megvii) {
  return g.activation(conv_norm(g, x, index, {.out = out}, megvii), ActivationKind::kRelu);
}

Value depthwise(GraphBuilder& g, Value x, int index, int stride, bool megvii) {
  const int channels = g.channels(x);
  return conv_norm(g, x, index, {.out = channels, .kernel = 3, .stride = stride, .groups = channels}, megvii);
}

// The branch of the stride-2 unit that is not the main one.
Value projection(GraphBuilder& g, Value x, int out, const Unit& unit) {
  auto scope = g.scope("branch1");
  x = depthwise(g, x, 0, unit.stride, unit.megvii);
  return pointwise(g, x, 2, out, unit.megvii);
}

Value main_branch(GraphBuilder& g, Value x, int middle, int out, const Unit& unit) {
  auto scope = g.scope("branch2");
  if (unit.detection) {
    auto enlarge = g.scope("enlarge");
    x = depthwise(g, x, 0, 1, unit.megvii);
  }
  x = pointwise(g, x, 0, middle, unit.megvii);
  x = depthwise(g, x, 3, unit.stride, unit.megvii);
  return pointwise(g, x, 5, out, unit.megvii);
}

Value shuffle_unit(GraphBuilder& g, Value x, const Unit& unit) {
  const int in = g.channels(x);
  const int half = unit.out / 2;
  if (unit.out % 2 != 0 || (unit.stride == 1 && unit.out != in) || unit.stride < 1 || unit.stride > 2 ||
      (unit.megvii && unit.out <= in && unit.stride == 2))
    throw Error(
        ErrorKind::kModel,
        fmt::format("[shufflenet unit] {}: {} to {} channels at stride {}; the output must be even, at "
                    "stride 1 (the other stride is 2) as wide as the input, and in Megvii's wiring "
                    "wider at stride 2",
                    g.path(), in, unit.out, unit.stride));
  if (unit.stride == 2) {
    const int projected = unit.megvii ? in : half;
    const Value left = projection(g, x, projected, unit);
    const Value right = main_branch(g, x, half, unit.out - projected, unit);
    const Value joined = g.concat({left, right});
    return unit.megvii ? joined : g.channel_shuffle(joined, 2);
  }
  // A shuffle into pairs brings the even channels to the front and the odd ones behind them.
  if (unit.megvii) x = g.channel_shuffle(x, half);
  const Value left = g.slice(x, 0, half);
  const Value right = main_branch(g, g.slice(x, half, in), half, half, unit);
  const Value joined = g.concat({left, right});
  return unit.megvii ? joined : g.channel_shuffle(joined, 2);
}

Value stem(GraphBuilder& g, Value x, int out, bool megvii) {
  auto scope = g.scope("conv1");
  x = g.conv(x, "0",
             {.out = out,
              .kernel = 3,
              .stride = 2,
              .weight_init = megvii ? std::optional(Init::normal(0.01)) : std::nullopt});
  x = g.batch_norm(x, "1", {.bias_init = Init::constant(megvii ? 0.0001 : 0)});
  return g.activation(x, ActivationKind::kRelu);
}

Features features(GraphBuilder& g, Value x, const BackboneConfig& config) {
  const ShuffleNetV2 net(config);
  x = stem(g, x, net.channels[0], net.megvii);
  g.tap("stem", x);
  x = g.max_pool(x, 3, 2, 1);
  std::array<Value, 4> maps = {x};
  for (size_t stage = 0; stage < net.repeats.size(); ++stage) {
    for (int unit = 0; unit < net.repeats[stage]; ++unit) {
      auto scope = g.scope(fmt::format("stage{}.{}", stage + 2, unit));
      x = shuffle_unit(g, x,
                       {.out = net.channels[stage + 1],
                        .stride = unit == 0 ? 2 : 1,
                        .megvii = net.megvii,
                        .detection = net.detection});
      if (net.forked && stage == 0 && unit == 0) maps[0] = x;
    }
    maps[stage + 1] = x;
  }
  return {maps[0], maps[1], maps[2], maps[3], {}, net.forked ? 8 : 4};
}

Value classifier(GraphBuilder& g, Value x, const BackboneConfig& config, int classes) {
  const ShuffleNetV2 net(config);
  {
    auto scope = g.scope("conv5");
    x = pointwise(g, x, 0, net.channels[4], net.megvii);
  }
  g.tap("conv5", x);
  // Megvii pools a fixed 7 x 7 window, which is the whole map of its 224 x 224 input.
  x = g.flatten(g.dropout(g.global_average_pool(x), net.dropout));
  if (net.megvii) return g.linear(x, "fc", classes, Init::normal(0.01), {}, false);
  return g.linear(x, "fc", classes);
}

InputFormat input_format(const BackboneConfig& config) {
  InputFormat format = imagenet_format(256, 224, Interpolation::kBilinear);
  if (ShuffleNetV2(config).megvii) {
    format.order = ChannelOrder::kBgr;
    format.scale = 1;
    format.mean = {0, 0, 0};
    format.std = {1, 1, 1};
    format.interpolation = Interpolation::kOpenCvBilinear;
  }
  return format;
}

std::vector<BackboneVariant> variants() {
  std::vector<BackboneVariant> list;
  for (const bool detection : {false, true})
    for (const Width& known : kWidths)
      list.push_back({fmt::format("shufflenet_v2_x{}_{}{}", static_cast<int>(known.width),
                                  std::lround(known.width * 10) % 10, detection ? "_det" : ""),
                      {{"width", known.width}, {"detection", detection}}});
  return list;
}

// Megvii and ericsun99 number the units of all stages in one list.
std::vector<weights::RenameRule> flat_rules(const BackboneConfig& config, const std::string& stem,
                                            const std::string& projection, const std::string& main) {
  std::vector<weights::RenameRule> rules = {
      {stem + ".**", "conv1.{1}"}, {"conv_last.**", "conv5.{1}"}, {"classifier.0.**", "fc.{1}"}};
  const ShuffleNetV2 net(config);
  int index = 0;
  for (size_t stage = 0; stage < net.repeats.size(); ++stage)
    for (int unit = 0; unit < net.repeats[stage]; ++unit, ++index) {
      const std::string from = fmt::format("features.{}.", index);
      const std::string to = fmt::format("stage{}.{}.", stage + 2, unit);
      rules.push_back({from + projection + ".**", to + "branch1.{1}"});
      rules.push_back({from + main + ".**", to + "branch2.{1}"});
    }
  return rules;
}

// Some ports give the depthwise convolutions a bias, which the batch norm behind them takes out again:
// (x + b) - mean = x - (mean - b).
void fold_depthwise_biases(Weights& weights) {
  for (const auto& [conv, norm] : {std::pair(".branch1.0.bias", ".branch1.1.running_mean"),
                                   std::pair(".branch2.3.bias", ".branch2.4.running_mean")})
    for (auto entry = weights.begin(); entry != weights.end();) {
      const std::string_view name = entry->first;
      if (!name.ends_with(conv)) {
        ++entry;
        continue;
      }
      const auto mean =
          weights.find(std::string(name.substr(0, name.size() - std::string_view(conv).size())) + norm);
      if (mean == weights.end() || mean->second.shape() != entry->second.shape()) {
        ++entry;  // left over, and reported as such
        continue;
      }
      const Tensor bias = entry->second.to_float();
      Tensor shifted = mean->second.to_float().clone();
      for (size_t i = 0; i < shifted.values().size(); ++i) shifted.values()[i] -= bias.values()[i];
      mean->second = shifted;
      entry = weights.erase(entry);
    }
}

const BackboneRegistration kShuffleNetV2{{
    .name = "shufflenet_v2",
    .paper = "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, Ma et al. 2018, "
             "arXiv:1807.11164",
    .defaults = {{"source", "torchvision"},
                 {"width", 1.0},
                 {"depth", 1.0},
                 {"channels", nullptr},
                 {"detection", false},
                 {"forked", false}},
    .sources = {{"torchvision", {"ericsun99", "pytorch"}}, {"megvii", {"megvii-model"}}},
    .variants = variants(),
    .features = features,
    .classifier = classifier,
    .input_format = input_format,
    .layouts = {{.source = "torchvision",
                 .signature = {"stage2.0.branch1.0.weight"},
                 .rules =
                     [](const BackboneConfig&) {
                       return keep_names({"conv1", "stage2", "stage3", "stage4", "conv5", "fc"});
                     },
                 .finish = fold_depthwise_biases},
                {.source = "torchvision",
                 .signature = {"features.0.banch1.0.weight"},
                 .rules =
                     [](const BackboneConfig& config) {
                       return flat_rules(config, "conv1", "banch1", "banch2");
                     }},
                {.source = "megvii",
                 .signature = {"features.0.branch_main.0.weight"},
                 .rules =
                     [](const BackboneConfig& config) {
                       return flat_rules(config, "first_conv", "branch_proj", "branch_main");
                     }}},
}};

// ShuffleNetUnit [out, stride = 1]: torchvision's unit. Channels are literal; at stride 1 they are the
// input's.
const ModuleRegistration kUnit{{
    .name = "ShuffleNetUnit",
    .arguments = {"channels", "stride"},
    .build = [](ModuleCall& call) -> std::vector<Value> {
      return {shuffle_unit(call.graph, call.input(),
                           {.out = call.positive(0, 0), .stride = call.positive(1, 1, 2)})};
    },
}};

}  // namespace
}  // namespace marrow::nn
