#include "marrow/nn/blocks/refused_modules.h"

#include <algorithm>

namespace marrow::nn {

const std::vector<std::pair<std::string_view, std::string_view>>& refused_modules() {
  static const std::vector<std::pair<std::string_view, std::string_view>> modules = [] {
    std::vector<std::pair<std::string_view, std::string_view>> list = {
        {"MBConv", "EfficientNetV2's block in YOLOv8 forks; what Marrow 0.1 called so is EfficientNetBlock"},
        {"FusedMBConv", "EfficientNetV2's block"},
        {"efficientnet_v2", "EfficientNetV2 in one line; Marrow has EfficientNet"},
        {"VanillaStage", "one fork's stage of separable convolutions with squeeze-excite, not VanillaNet"},
        {"VanillaSPPF", "one fork's SPPF of separable convolutions, not VanillaNet"},
        {"shuffle_SE_1", "one repository's ShuffleNet unit with squeeze-excite"},
        {"shuffle_SE_2", "one repository's ShuffleNet unit with squeeze-excite"},
        {"C2f_Star_CAA",
         "C2f of StarNet blocks with context anchor attention (1 x 11 and 11 x 1 convolutions)"},
    };
    std::ranges::sort(list);
    return list;
  }();
  return modules;
}

std::string_view refused_module(std::string_view name) {
  const auto& modules = refused_modules();
  const auto found =
      std::ranges::lower_bound(modules, name, {}, [](const auto& entry) { return entry.first; });
  return found != modules.end() && found->first == name ? found->second : std::string_view();
}

}  // namespace marrow::nn
