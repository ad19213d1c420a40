#include "marrow/model/backbone_line.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/model/python_text.h"

namespace marrow::model {
nn::BackboneConfig backbone_settings(const LayerSpec& line) {
  const nn::BackboneConfig& args = line.args;
  if (args.empty()) return nn::BackboneConfig::object();
  if (args.size() > 1)
    fail_model(fmt::format("{} arguments; a backbone takes one mapping or one number", args.size()));
  if (args[0].is_object()) return args[0];
  if (!args[0].is_number())
    fail_model(fmt::format("argument 0 is {}, wanted a mapping of settings or a width factor",
                           python_text(args[0]).substr(0, 60)));
  const nn::BackboneFamily& family = *nn::choose_backbone(line.module).family;
  if (const std::string setting(width_setting(family)); !setting.empty()) return {{setting, args[0]}};
  fail_model(fmt::format("'{}' has no width factor; its settings are {}", line.module,
                         python_text(family.defaults).substr(0, 400)));
}

std::string_view width_setting(const nn::BackboneFamily& family) {
  for (const char* setting : {"width", "scale"})
    if (family.defaults.contains(setting) && family.defaults.at(setting).is_number()) return setting;
  return {};
}

}  // namespace marrow::model
