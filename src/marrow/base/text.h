// Small helpers for messages: the nearest valid name, and lists of names.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace marrow {

// The entry of `known` with the smallest edit distance to `found` (case ignored), or "" when none is close
// enough to be a likely typing error (more than a third of the letters differ).
std::string nearest_name(std::string_view found, std::span<const std::string> known);

// "unknown backbone 'starnet_s5'. Did you mean 'starnet_s4'? Known: starnet_s1, starnet_s2, ..."
// Of more than 12 known names the nearest alone, or where none is near the first 12. `what` is the kind of
// thing that is named ("backbone").
std::string unknown_name_message(std::string_view what, std::string_view found,
                                 std::span<const std::string> known);

std::string join(std::span<const std::string> parts, std::string_view separator);
std::string to_lower(std::string_view text);

// Without blanks, tabs and line ends around it.
std::string_view trimmed(std::string_view text);

// The lines of a list, trimmed, without empty ones; views of `content`.
std::vector<std::string_view> listed_lines(std::string_view content);

// Text out of a file, for a message: cut to `longest` bytes, never inside a character, with '?' for control
// characters (utf8.h) and for bytes that are no UTF-8.
std::string printable(std::string_view text, size_t longest = 120);

}  // namespace marrow
