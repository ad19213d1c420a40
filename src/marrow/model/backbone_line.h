// A whole backbone as one line of a YAML: [-1, 1, starnet_s1, [{drop_path: 0.1}]].
#pragma once

#include <string_view>

#include "marrow/model/spec.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {

// The settings that the line's arguments ask for: none, those of a mapping, or a number for the setting that
// scales the family's width. Throws Error{kModel}.
nn::BackboneConfig backbone_settings(const LayerSpec& line);

// The setting that scales the family's width, "width" or "scale"; "" when it has none.
std::string_view width_setting(const nn::BackboneFamily& family);

}  // namespace marrow::model
