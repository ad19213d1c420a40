// Class names as exported models carry them: the text of a Python dict, "{0: 'person', 1: 'dog\'s bowl'}", or
// of a list. Read by a parser for exactly that; nothing is evaluated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::model {

std::string python_names(const std::vector<std::string>& names);

// Nothing unless the keys are 0 to n - 1, each once, and the values strings.
std::optional<std::vector<std::string>> parse_python_names(std::string_view text);

}  // namespace marrow::model
