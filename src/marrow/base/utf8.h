// UTF-8 text, a character (code point) at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace marrow {

// Bytes of the well-formed UTF-8 character at the front of `text`; 0 when there is none (Unicode 15, table
// 3-7). The text is not empty.
size_t utf8_length(std::string_view text);

// The number of a character as utf8_length measured it.
char32_t code_point(std::string_view character);

bool is_utf8(std::string_view text);

// Whether a file's content begins with the byte order mark of UTF-16, as some editors and shells write it.
bool is_utf16(std::string_view content);
// The content of a file without UTF-8's byte order mark. Throws Error{kFormat} "name: ..." for UTF-16.
std::string_view utf8_content(std::string_view content, const std::string& name);
inline constexpr const char* kUtf16Refused = "the text is UTF-16; save it as UTF-8";

// Characters that a terminal or a page obeys instead of showing: controls, line separators, and those that
// turn the direction of writing.
bool is_control(char32_t code_point);

// Columns of a terminal: 2 for the wide characters of East Asia and emoji, 0 for marks on other letters.
size_t display_width(std::string_view utf8);

// With blanks behind it up to that many columns.
std::string padded(std::string_view utf8, size_t columns);

}  // namespace marrow
