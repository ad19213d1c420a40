// A whole backbone as one line of a YAML: [-1, 1, starnet_s1, [{drop_path: 0.1}]], and as YOLOv8 forks write
// it:
// [-1, 1, starnet_s1, [0.5, 0.25]], [-1, 1, efficient, ['efficientnet-b1']].
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/model/spec.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {

// Whether a line with this module is a whole backbone: a name of nn::backbone_names(), or one that forks use.
bool names_backbone(std::string_view module);
std::vector<std::string> fork_backbone_names();  // the latter, sorted

struct BackboneLine {
  nn::BackboneChoice choice;
  nn::BackboneConfig settings;  // what the line asks for beyond the name of `choice`
  bool first_map = true;  // number 0 is the map at stride 2, where the family has one; otherwise it is empty
  std::string reading;    // what the line is read as, where forks write it; otherwise empty
};

// What the line's module and arguments mean: no arguments, a mapping of settings, a number for the setting
// that scales the family's width, or what forks write. Throws Error{kModel}.
BackboneLine read_backbone_line(const LayerSpec& line);

// The setting that scales the family's width, "width" or "scale"; "" when it has none.
std::string_view width_setting(const nn::BackboneFamily& family);

}  // namespace marrow::model
