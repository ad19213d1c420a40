// From text as it is stored to letters as they stand on a line, for scripts that are written from the right.
#pragma once

#include <string>
#include <string_view>

namespace marrow::detect {

// The characters of UTF-8, from left to right: Arabic letters in the form that their neighbours ask for
// (Unicode's presentation forms), runs of Hebrew and Arabic turned around, control characters as blanks,
// joiners and selectors left out, broken bytes as U+FFFD. Other scripts stay as they are: marks of Indic
// scripts, for instance, do not move.
std::u32string in_drawing_order(std::string_view utf8);

}  // namespace marrow::detect
