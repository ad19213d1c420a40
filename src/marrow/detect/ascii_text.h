// Text for letters that are only ASCII's.
#pragma once

#include <string>
#include <string_view>

namespace marrow::detect {

// UTF-8 in plain letters: Latin letters lose their accents, Greek and Cyrillic ones are transliterated,
// anything else becomes '?'. Broken UTF-8 becomes '?', too. Control characters become spaces.
std::string ascii_text(std::string_view utf8);

}  // namespace marrow::detect
