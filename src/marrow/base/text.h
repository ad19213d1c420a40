// Small helpers for messages: the nearest valid name, and lists of names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace marrow {

// The entry of `known` that the fewest slips turn into `found`: a letter too many, too few, another, or two
// that changed places; case and hyphens in front do not count. "" when none is a likely slip: one in a word
// of up to four letters, two in one of up to seven, a third of the letters in a longer one.
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

// true, yes, on, 1 and false, no, off, 0, in any case; nothing for other texts.
std::optional<bool> parse_truth(std::string_view text);

// Text out of a file, for a message: cut to `longest` bytes, never inside a character, with '?' for control
// characters (utf8.h) and for bytes that are no UTF-8.
std::string printable(std::string_view text, size_t longest = 120);

}  // namespace marrow
