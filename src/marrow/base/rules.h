// Whose rules a training or a measurement follows where the releases of Ultralytics differ: 8.3's, or those
// of 8.4 (compared with 8.4.190), which are the default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace marrow {

enum class Rules { k83, k84 };

inline constexpr Rules kDefaultRules = Rules::k84;

inline std::string_view rules_name(Rules rules) {
  return rules == Rules::k83 ? "8.3" : "8.4";
}

inline std::vector<std::string> rules_names() {
  return {"8.4", "8.3"};
}

// Of a name of rules_names().
inline Rules rules_named(std::string_view name) {
  return name == "8.3" ? Rules::k83 : Rules::k84;
}

}  // namespace marrow
