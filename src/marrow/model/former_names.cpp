#include "marrow/model/former_names.h"

#include <algorithm>
#include <array>

#include "marrow/model/backbone_line.h"

namespace marrow::model {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kFormerNames = {
    {{"VanillaStem", "VanillaNetStem"},
     {"VanillaBlock", "VanillaNetBlock"},
     {"Conv_maxpool", "ShuffleNetStem"},
     {"ShuffleNetV2", "ShuffleNetUnit"},
     {"MBConv", "EfficientNetBlock"}}};

std::string_view present_name(std::string_view module) {
  const auto found = std::ranges::find(kFormerNames, module, [](const auto& pair) { return pair.first; });
  return found == kFormerNames.end() ? std::string_view() : found->second;
}

// [number] of a backbone in one line, which 0.1 took for a setting of every family.
bool is_width_of_0_1(const LayerSpec& line) {
  return line.args.size() == 1 && line.args[0].is_number() && names_backbone(line.module) &&
         std::ranges::binary_search(nn::backbone_names(), line.module) &&
         !read_backbone_line(line).reading.empty();
}

}  // namespace

bool uses_former_name(const ModelSpec& spec) {
  const auto is_former = [](const LayerSpec& line) {
    return !present_name(line.module).empty() || is_width_of_0_1(line);
  };
  return std::ranges::any_of(spec.backbone, is_former) || std::ranges::any_of(spec.head, is_former);
}

void use_present_names(ModelSpec& spec) {
  for (std::vector<LayerSpec>* lines : {&spec.backbone, &spec.head})
    for (LayerSpec& line : *lines)
      if (const std::string_view present = present_name(line.module); !present.empty())
        line.module = present;
      else if (is_width_of_0_1(line))
        if (const auto width = width_setting(*nn::choose_backbone(line.module).family); !width.empty())
          line.args = nlohmann::json::array({{{std::string(width), line.args[0]}}});
}

}  // namespace marrow::model
