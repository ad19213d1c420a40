#include "marrow/base/utf8.h"

#include <algorithm>
#include <cstdint>

#include "marrow/base/error.h"

namespace marrow {
namespace {

struct CodeRange {
  char32_t first, last;
};

// Wide by Unicode's East Asian Width, in blocks.
constexpr CodeRange kWide[] = {{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
                               {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},
                               {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                               {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
                               {0x20000, 0x2fffd}, {0x30000, 0x3fffd}};
// Marks that lie on the letter before, joiners, and selectors of a form.
constexpr CodeRange kMarks[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},    {0x610, 0x61a},
                                {0x64b, 0x65f},   {0x93c, 0x93c},   {0x941, 0x948},    {0x94d, 0x94d},
                                {0xe31, 0xe31},   {0xe34, 0xe3a},   {0xe47, 0xe4e},    {0x200b, 0x200f},
                                {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0x1f3fb, 0x1f3ff}};

template <size_t N>
bool is_within(const CodeRange (&ranges)[N], char32_t code) {
  return std::ranges::any_of(
      ranges, [code](const CodeRange& range) { return range.first <= code && code <= range.last; });
}

}  // namespace

size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                      : lead >= 0xe0 && lead <= 0xef ? 3
                      : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                     : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) > 0x9f;
  const bool too_large = lead == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_large ? 0 : size;
}

char32_t code_point(std::string_view character) {
  const auto lead = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return lead;
  char32_t code = lead & (0x7fu >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<uint8_t>(c) & 0x3fu);
  return code;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = utf8_length(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

bool is_utf16(std::string_view content) {
  return content.starts_with("\xff\xfe") || content.starts_with("\xfe\xff");
}

std::string_view utf8_content(std::string_view content, const std::string& name) {
  if (is_utf16(content)) fail_format(name + ": " + kUtf16Refused);
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (content.starts_with(kMark)) content.remove_prefix(kMark.size());
  return content;
}

bool is_control(char32_t code) {
  constexpr CodeRange kControls[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x061c, 0x061c}, {0x200e, 0x200f},
                                     {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}};
  return is_within(kControls, code);
}

size_t display_width(std::string_view utf8) {
  size_t columns = 0;
  while (!utf8.empty()) {
    const size_t size = std::max<size_t>(utf8_length(utf8), 1);
    const char32_t code = code_point(utf8.substr(0, size));
    if (!is_within(kMarks, code)) columns += is_within(kWide, code) ? 2 : 1;
    utf8.remove_prefix(size);
  }
  return columns;
}

std::string padded(std::string_view utf8, size_t columns) {
  std::string text(utf8);
  const size_t width = display_width(utf8);
  if (width < columns) text.append(columns - width, ' ');
  return text;
}

}  // namespace marrow
