#include "marrow/model/backbone_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/python_text.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::model {
namespace {

using nn::BackboneConfig;

// Names that only forks use, with the width of those that carry it in the name.
struct ShuffleName {
  std::string_view name;
  double width;  // 0: the argument says it
};
constexpr std::array<ShuffleName, 5> kShuffleNames = {{{"shufflenetv2", 0},
                                                       {"shufflenetv2_05", 0.5},
                                                       {"shufflenetv2_10", 1.0},
                                                       {"shufflenetv2_15", 1.5},
                                                       {"shufflenetv2_20", 2.0}}};
constexpr std::string_view kEfficient = "efficient";
constexpr double kMaxFactor = 8;

[[noreturn]] void refuse(const LayerSpec& line, size_t index, std::string_view wanted) {
  fail_model(fmt::format("argument {} is {}, wanted {}", index, python_text(line.args[index]).substr(0, 60),
                         wanted));
}

double factor_at(const LayerSpec& line, size_t index) {
  const BackboneConfig& value = line.args[index];
  if (!value.is_number() || !(value.get<double>() > 0 && value.get<double>() <= kMaxFactor))
    refuse(line, index, fmt::format("a factor above 0, at most {}", kMaxFactor));
  return value.get<double>();
}

// [pretrained], [pretrained, 'file'] or ['file']: says where weights come from, and nothing of the network.
bool is_pretrained_flag(const BackboneConfig& args) {
  const auto is_flag = [](const BackboneConfig& arg) { return arg.is_boolean() || arg.is_null(); };
  if (args.size() == 1) return is_flag(args[0]) || args[0].is_string();
  return args.size() == 2 && is_flag(args[0]) && (args[1].is_string() || args[1].is_null());
}

BackboneLine with(std::string_view name, const BackboneConfig& settings, std::string reading,
                  bool first_map) {
  return {nn::choose_backbone(name, settings), settings, first_map, std::move(reading)};
}

BackboneLine fork_shufflenet(const LayerSpec& line, double named_width) {
  if (named_width > 0 ? !line.args.empty() && !is_pretrained_flag(line.args) : line.args.size() > 1)
    fail_model(fmt::format("{} arguments, wanted {}", line.args.size(),
                           named_width > 0 ? "none" : "one, the width"));
  const double width = named_width > 0 ? named_width : line.args.empty() ? 1.0 : factor_at(line, 0);
  constexpr std::array kPublished = {0.5, 1.0, 1.5, 2.0};
  if (std::ranges::find(kPublished, width) == kPublished.end())
    refuse(line, 0, "a width of 0.5, 1, 1.5 or 2");
  return with(
      "shufflenet_v2", {{"width", width}, {"forked", true}},
      fmt::format(
          "ShuffleNet V2 of YOLOv8 forks, width {}: 8, 4 and 4 units; numbers 1 to 4 at strides 8, 8, "
          "16 and 32",
          width),
      false);
}

BackboneLine fork_efficient(const LayerSpec& line) {
  constexpr std::string_view kPrefix = "efficientnet-b";
  std::string name = "efficientnet-b0";
  if (!line.args.empty()) {
    if (!line.args[0].is_string()) refuse(line, 0, "a name such as efficientnet-b0");
    name = line.args[0].get<std::string>();
  }
  if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + 1 || name.back() < '0' ||
      name.back() > '7')
    refuse(line, 0, "a name from efficientnet-b0 to efficientnet-b7");
  const bool halved = line.args.size() > 1;
  for (size_t i = 1; i < line.args.size(); ++i)
    if (!line.args[i].is_number()) refuse(line, i, "a number");
  if (line.args.size() > 3) fail_model(fmt::format("{} arguments, at most 3 are known", line.args.size()));
  return with(
      fmt::format("efficientnet_b{}", name.back()),
      {{"source", "lukemelas"}, {"static_padding", true}, {"halved", halved}},
      fmt::format("EfficientNet-PyTorch in YOLOv8 forks, padded as for its nominal size{}; its head and "
                  "classifier, which feed nothing, are left out",
                  halved ? ", half of its repeats and widths (whatever the numbers)" : ""),
      false);
}

// To the nearest multiple of 8, at least 8, never more than a tenth below.
int nearest_8(int channels) {
  const int nearest = std::max(8, (channels + 4) / 8 * 8);
  return nearest < 0.9 * channels ? nearest + 8 : nearest;
}

BackboneLine fork_starnet(const LayerSpec& line) {
  factor_at(line, 0);  // a depth, which these forks do not use
  const double width = factor_at(line, 1);
  const BackboneConfig published = nn::choose_backbone(line.module).config;
  const auto scaled = [&](const char* key) {
    return nearest_8(static_cast<int>(published.at(key).get<int>() * width));
  };
  return with(
      line.module, {{"base_dim", scaled("base_dim")}, {"stem_dim", scaled("stem_dim")}},
      fmt::format(
          "StarNet of YOLOv8 forks, [depth, width]: width {} scales stem and stages, the depth is not "
          "used; number 0 is empty",
          width),
      false);
}

BackboneLine fork_vanillanet(const LayerSpec& line) {
  const double factor = factor_at(line, 0);
  BackboneConfig dims = nn::choose_backbone(line.module).config.at("dims");
  for (BackboneConfig& dim : dims) dim = std::max(1, static_cast<int>(dim.get<int>() * factor));
  return with(line.module, {{"dims", std::move(dims)}},
              fmt::format("VanillaNet of YOLOv8 forks, [factor]: channels are int(published x {})", factor),
              false);
}

}  // namespace

bool names_backbone(std::string_view module) {
  if (nn::find_module(module) != nullptr) return false;
  return module == kEfficient ||
         std::ranges::find(kShuffleNames, module, &ShuffleName::name) != kShuffleNames.end() ||
         std::ranges::binary_search(nn::backbone_names(), std::string(module));
}

std::vector<std::string> fork_backbone_names() {
  std::vector<std::string> names = {std::string(kEfficient)};
  for (const ShuffleName& known : kShuffleNames) names.emplace_back(known.name);
  return names;
}

BackboneLine read_backbone_line(const LayerSpec& line) {
  const BackboneConfig& args = line.args;
  if (line.module == kEfficient) return fork_efficient(line);
  for (const ShuffleName& known : kShuffleNames)
    if (line.module == known.name) return fork_shufflenet(line, known.width);

  const nn::BackboneFamily& family = *nn::choose_backbone(line.module).family;
  if (args.empty()) return with(line.module, BackboneConfig::object(), "", true);
  if (is_pretrained_flag(args)) {
    const bool timm = args[0].is_boolean() && family.find_source("timm") != nullptr;
    // A name of timm's own may already say which of its sources it is ("tf_efficientnet_b0").
    const BackboneConfig own = nn::choose_backbone(line.module).config.at("source");
    const bool other = timm && own == family.sources.front().name && own != family.find_source("timm")->name;
    return with(line.module, other ? BackboneConfig{{"source", "timm"}} : BackboneConfig::object(),
                fmt::format("{}{} of YOLOv8 forks; the flag that asks for published weights is passed over",
                            family.name, timm ? " by timm" : ""),
                true);
  }
  if (family.name == "starnet" && args.size() == 2) return fork_starnet(line);
  if (args.size() > 1)
    fail_model(fmt::format(
        "{} arguments; a backbone takes one mapping, one number, or whether it is pretrained", args.size()));
  if (args[0].is_object()) return with(line.module, args[0], "", true);
  if (!args[0].is_number())
    fail_model(fmt::format("argument 0 is {}, wanted a mapping of settings or a width factor",
                           python_text(args[0]).substr(0, 60)));
  if (family.name == "vanillanet") return fork_vanillanet(line);
  if (const std::string setting(width_setting(family)); !setting.empty())
    return with(line.module, {{setting, args[0]}}, "", true);
  fail_model(fmt::format("'{}' has no width factor; its settings are {}", line.module,
                         python_text(family.defaults).substr(0, 400)));
}

std::string_view width_setting(const nn::BackboneFamily& family) {
  for (const char* setting : {"width", "scale"})
    if (family.defaults.contains(setting) && family.defaults.at(setting).is_number()) return setting;
  return {};
}

}  // namespace marrow::model
