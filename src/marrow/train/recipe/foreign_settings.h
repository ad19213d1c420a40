// Settings of Ultralytics that mean nothing to a training here: their files name them, and their users'
// words. The keys are those of the releases 8.0 to 8.4.190.
#pragma once

#include <span>
#include <string_view>

namespace marrow::train {

struct ForeignSetting {
  std::string_view key;
  std::string_view harmless;  // values that ask for nothing besides null and false, with commas; "*": all
  std::string_view answer;    // what to do instead
};

std::span<const ForeignSetting> foreign_settings();
// nullptr where there is none.
const ForeignSetting* find_foreign_setting(std::string_view key);

// Whether this value asks for nothing. Numbers are compared as numbers.
bool is_harmless(const ForeignSetting& setting, std::string_view value);

}  // namespace marrow::train
