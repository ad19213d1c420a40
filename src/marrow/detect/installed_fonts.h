// The files of fonts on this machine.
#pragma once

#include <filesystem>
#include <vector>

namespace marrow::detect {

// TrueType and OpenType files in the folders where fonts are installed (the user's own,
// /usr/local/share/fonts, /usr/share/fonts), upright sans serifs of usual weight first, then by path. At most
// kMostFonts. Never throws for what cannot be listed.
inline constexpr size_t kMostFonts = 4000;
std::vector<std::filesystem::path> installed_fonts();

}  // namespace marrow::detect
