#include "marrow/model/scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/model/backbone_line.h"
#include "marrow/model/zoo.h"

namespace marrow::model {
namespace {

constexpr double kCost = 2;         // of phi = 1
constexpr double kCostSlack = 0.1;  // the paper's own triple, 1.2, 1.1 and 1.15, costs 1.92
constexpr double kStep = 0.05;
constexpr std::string_view kDepth = "depth";
constexpr std::string_view kResolution = "resolution";

double to_four_digits(double factor) {
  return std::round(factor * 1e4) / 1e4;
}

bool is_factor(const nn::BackboneFamily& family, std::string_view setting) {
  const auto found = family.defaults.find(std::string(setting));
  return found != family.defaults.end() && found->is_number() && *found == 1;
}

}  // namespace

double Growth::cost() const {
  return depth * width * width * resolution * resolution;
}

double Growth::unevenness() const {
  const std::array shares = {std::log(depth), 2 * std::log(width), 2 * std::log(resolution)};
  const auto [low, high] = std::ranges::minmax(shares);
  return high - low;
}

Growth Growth::power(double phi) const {
  return {std::pow(depth, phi), std::pow(width, phi), std::pow(resolution, phi)};
}

ScalingSettings scaling_settings(const nn::BackboneFamily& family) {
  const std::string width(width_setting(family));
  std::string missing;
  if (width.empty() || !is_factor(family, width)) missing = "no factor of width ('width' or 'scale')";
  if (!is_factor(family, kDepth))
    missing += fmt::format("{}no factor of depth ('{}')", missing.empty() ? "" : " and ", kDepth);
  if (missing.empty()) return {width, std::string(kDepth)};
  std::string known;
  for (const auto& [key, value] : family.defaults.items())
    known += fmt::format("{}{}: {}", known.empty() ? "" : ", ", key, value.dump());
  throw Error(
      ErrorKind::kModel,
      fmt::format("'{}' cannot be scaled: among its settings is {}, a number that is 1 by default. It has {}",
                  family.name, missing, known));
}

int scaled_image_size(const ScalingBase& base, double size) {
  const int multiple = base.size_multiple;
  return std::max(1, static_cast<int>(std::lround(size / multiple))) * multiple;
}

ScaledBackbone scale_backbone(const ScalingBase& base, double depth, double width, int image_size) {
  const ScalingSettings names = scaling_settings(*base.backbone.family);
  ScaledBackbone scaled{base.backbone, base.settings, image_size};
  const auto set = [&](const std::string& setting, const nn::BackboneConfig& value) {
    if (scaled.backbone.config.at(setting) == value) return;
    scaled.backbone.config[setting] = value;
    scaled.settings[setting] = value;
  };
  const auto multiply = [&](const std::string& setting, double factor) {
    set(setting, to_four_digits(base.backbone.config.at(setting).get<double>() * factor));
  };
  multiply(names.depth, depth);
  multiply(names.width, width);
  if (const std::string setting(kResolution); base.classifier && scaled.backbone.config.contains(setting))
    set(setting, image_size);
  return scaled;
}

ScaledBackbone scale_backbone(const ScalingBase& base, const Growth& growth) {
  return scale_backbone(base, growth.depth, growth.width,
                        scaled_image_size(base, base.image_size * growth.resolution));
}

Graph scaled_graph(const ScaledBackbone& scaled, bool classifier) {
  constexpr int kPublishedClasses = 1000;
  if (classifier) return nn::build_classifier(scaled.backbone, kPublishedClasses);
  GraphBuilder g;
  g.output("c5", nn::add_backbone(g, g.input(3), scaled.backbone).c5);
  return std::move(g).build();
}

ModelSpec scaled_spec(const ScaledBackbone& scaled, std::string_view model) {
  const std::string& name = scaled.backbone.name;
  if (model.empty()) {
    ModelSpec spec = find_model_spec(name);
    spec.settings = scaled.settings;
    return spec;
  }
  ModelSpec spec = find_model_spec(model, name);
  if (!scaled.settings.empty()) spec.backbone.front().args = {scaled.settings};
  // One network: a letter in the new file's name must not choose another.
  std::erase_if(spec.scales, [&](const auto& scale) { return scale.first != spec.scale; });
  return spec;
}

std::vector<Growth> growth_candidates() {
  constexpr double kRounding = 1e-9;
  const auto step = [](int n) { return 1 + n * kStep; };
  const int steps = static_cast<int>((kCost + kCostSlack - 1) / kStep) + 1;
  std::vector<Growth> candidates;
  for (int alpha = 0; alpha <= steps; ++alpha)
    for (int beta = 0; beta <= steps; ++beta)
      for (int gamma = 0; gamma <= steps; ++gamma)
        if (const Growth growth{step(alpha), step(beta), step(gamma)};
            std::abs(growth.cost() - kCost) <= kCostSlack + kRounding)
          candidates.push_back(growth);
  return candidates;
}

std::vector<MeasuredGrowth> rank_growths(std::span<const MeasuredGrowth> measured, double tie) {
  const auto distance = [](const MeasuredGrowth& one) { return std::abs(one.cost - kCost); };
  const auto unevenness = [](const MeasuredGrowth& one) { return one.growth.unevenness(); };
  std::vector<MeasuredGrowth> ranked(measured.begin(), measured.end());
  std::ranges::stable_sort(ranked, {}, distance);
  const auto tied = std::ranges::find_if(
      ranked, [&](const MeasuredGrowth& one) { return distance(one) > distance(ranked.front()) + tie; });
  std::ranges::stable_sort(ranked.begin(), tied, {}, unevenness);
  return ranked;
}

}  // namespace marrow::model
