// Numbers of a dataset's YAML.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "marrow/base/yaml.h"

namespace marrow::data {

// Throws Error{kFormat} "file:line: key: ..." for what is no whole number from `smallest` to `largest`.
int64_t whole_number(const YamlValue& value, std::string_view key, int64_t smallest, int64_t largest,
                     const std::string& file);

}  // namespace marrow::data
