// Values of settings as text, in the spelling of YAML and of Python.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace marrow::train {

bool is_none(std::string_view text);                        // empty, null, None, ~
std::optional<double> parse_number(std::string_view text);  // the whole text, finite

// The text as one YAML scalar that reads back as this text: quoted where it would be taken for something
// else.
std::string yaml_text(const std::string& text);

}  // namespace marrow::train
