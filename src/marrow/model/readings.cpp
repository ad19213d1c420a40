#include "marrow/model/readings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "marrow/model/backbone_line.h"
#include "marrow/model/former_names.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {
namespace {

using nlohmann::json;

// Changes the spec to another meaning; false when it has no line that could mean it.
struct Alternative {
  std::string what;
  std::function<bool(ModelSpec&)> apply;
};

// The alternatives of one ambiguity; they exclude each other.
using Ambiguity = std::vector<Alternative>;

bool on_lines(ModelSpec& spec, const std::function<bool(LayerSpec&)>& change) {
  bool changed = false;
  for (std::vector<LayerSpec>* lines : {&spec.backbone, &spec.head})
    for (LayerSpec& line : *lines) changed |= change(line);
  return changed;
}

void set_argument(LayerSpec& line, size_t index, json value) {
  while (line.args.size() <= index) line.args.push_back(nullptr);
  line.args[index] = std::move(value);
}

Alternative on_modules(std::string what, std::vector<std::string> modules,
                       const std::function<bool(LayerSpec&)>& change) {
  return {std::move(what), [=](ModelSpec& spec) {
            return on_lines(spec, [&](LayerSpec& line) {
              return std::ranges::find(modules, line.module) != modules.end() && change(line);
            });
          }};
}

// Of the line that is a whole backbone of the family.
Alternative on_backbone(
    std::string what, const std::string& family,
    const std::function<std::optional<json>(const ModelSpec&, const LayerSpec&)>& arguments) {
  return {std::move(what), [=](ModelSpec& spec) {
            if (spec.backbone.empty()) return false;
            LayerSpec& line = spec.backbone.front();
            const std::vector<std::string> known = nn::backbone_names();
            if (!names_backbone(line.module) || !std::ranges::binary_search(known, line.module) ||
                nn::choose_backbone(line.module).family->name != family)
              return false;
            const std::optional<json> args = arguments(spec, line);
            if (args) line.args = *args;
            return args.has_value();
          }};
}

int up_to_8(double channels) {
  return static_cast<int>(std::ceil(channels / 8) * 8);
}

const std::vector<Ambiguity>& ambiguities() {
  static const Alternative former = {"names as Marrow 0.1 had them", [](ModelSpec& spec) {
                                       if (!uses_former_name(spec)) return false;
                                       use_present_names(spec);
                                       return true;
                                     }};
  static const std::vector<Ambiguity> all = {
      {on_modules("VanillaBlock in deploy form", {"VanillaBlock", "vanillanetBlock"},
                  [](LayerSpec& line) {
                    if (line.args.size() == 5 && !line.args[3].is_boolean()) {
                      // A convolution's arguments, of which out and stride count.
                      line.args = {line.args[0], 3, line.args[2]};
                    }
                    set_argument(line, 3, true);
                    return true;
                  }),
       on_modules("ShuffleNetV2 without depthwise biases", {"ShuffleNetV2", "ShuffleNetV2_Model"},
                  [](LayerSpec& line) {
                    line.module = "Shuffle_Block";
                    return true;
                  }),
       former},
      {on_modules("DepthSepConv with a squeeze of 16 times the input", {"DepthSepConv"},
                  [](LayerSpec& line) {
                    set_argument(line, 4, "wide");
                    return true;
                  })},
      {on_modules("C3k2_Star with c3k", {"C3k2_Star"},
                  [](LayerSpec& line) {
                    set_argument(line, 1, true);
                    return true;
                  })},
      {on_backbone("starnet [0.5, 0.25], what [] means in forks for YOLO11", "starnet",
                   [](const ModelSpec&, const LayerSpec& line) -> std::optional<json> {
                     if (!line.args.empty()) return {};
                     return json{0.5, 0.25};
                   }),
       on_backbone("starnet at the scale's width", "starnet",
                   [](const ModelSpec& spec, const LayerSpec& line) -> std::optional<json> {
                     if (!line.args.empty()) return {};
                     const int base = nn::choose_backbone(line.module).config.at("base_dim");
                     return json::array({{{"base_dim", up_to_8(base * spec.factors.width)},
                                          {"stem_dim", up_to_8(32 * spec.factors.width)}}});
                   }),
       on_backbone("vanillanet of half its channels", "vanillanet",
                   [](const ModelSpec&, const LayerSpec& line) -> std::optional<json> {
                     if (!line.args.empty()) return {};
                     return json::array({0.5});
                   }),
       on_backbone("vanillanet in deploy form", "vanillanet",
                   [](const ModelSpec&, const LayerSpec& line) -> std::optional<json> {
                     if (!line.args.empty()) return {};
                     return json::array({{{"deploy", true}}});
                   }),
       on_backbone("efficientnet by timm", "efficientnet",
                   [](const ModelSpec&, const LayerSpec& line) -> std::optional<json> {
                     if (!line.args.empty()) return {};
                     return json::array({true});
                   })}};
  return all;
}

}  // namespace

std::vector<Reading> readings_of(const ModelSpec& spec) {
  std::vector<Reading> readings = {{"", spec}};
  for (const Ambiguity& ambiguity : ambiguities()) {
    const size_t before = readings.size();
    for (const Alternative& alternative : ambiguity)
      for (size_t i = 0; i < before; ++i) {
        Reading other = readings[i];
        if (!alternative.apply(other.spec)) continue;
        other.what += (other.what.empty() ? "" : "; ") + alternative.what;
        readings.push_back(std::move(other));
      }
  }
  return readings;
}

}  // namespace marrow::model
