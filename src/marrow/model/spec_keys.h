// The top-level keys of model YAMLs: those that describe the network, those that say nothing of it, and those
// whose values lines name. What YOLOv8 forks write is listed in docs/models.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/base/yaml.h"

namespace marrow::model {

enum class KeyMeaning {
  kNetwork,  // read
  kNamed,    // a value that lines name: head_channel, node_mode, fusion_mode
  kNothing,  // says nothing of the network
  kUnknown,
};

// What a key of the root means, with its value: a block that no line can name says nothing.
KeyMeaning meaning_of_key(std::string_view key, const YamlValue& value);

// The keys of kNetwork and kNamed, for the nearest name.
const std::vector<std::string>& network_keys();

}  // namespace marrow::model
