#include "marrow/detect/text_order.h"

#include <algorithm>
#include <array>

#include "marrow/base/utf8.h"

namespace marrow::detect {
namespace {

// A letter's forms stand one after another: alone, at the end, and for letters that join the next one also at
// the beginning and in the middle (Unicode 15, blocks Arabic Presentation Forms A and B).
struct ArabicLetter {
  char32_t letter, forms;
  int count;
};
constexpr std::array<ArabicLetter, 42> kArabic = {{
    {0x621, 0xfe80, 1}, {0x622, 0xfe81, 2}, {0x623, 0xfe83, 2}, {0x624, 0xfe85, 2}, {0x625, 0xfe87, 2},
    {0x626, 0xfe89, 4}, {0x627, 0xfe8d, 2}, {0x628, 0xfe8f, 4}, {0x629, 0xfe93, 2}, {0x62a, 0xfe95, 4},
    {0x62b, 0xfe99, 4}, {0x62c, 0xfe9d, 4}, {0x62d, 0xfea1, 4}, {0x62e, 0xfea5, 4}, {0x62f, 0xfea9, 2},
    {0x630, 0xfeab, 2}, {0x631, 0xfead, 2}, {0x632, 0xfeaf, 2}, {0x633, 0xfeb1, 4}, {0x634, 0xfeb5, 4},
    {0x635, 0xfeb9, 4}, {0x636, 0xfebd, 4}, {0x637, 0xfec1, 4}, {0x638, 0xfec5, 4}, {0x639, 0xfec9, 4},
    {0x63a, 0xfecd, 4}, {0x641, 0xfed1, 4}, {0x642, 0xfed5, 4}, {0x643, 0xfed9, 4}, {0x644, 0xfedd, 4},
    {0x645, 0xfee1, 4}, {0x646, 0xfee5, 4}, {0x647, 0xfee9, 4}, {0x648, 0xfeed, 2}, {0x649, 0xfeef, 2},
    {0x64a, 0xfef1, 4}, {0x67e, 0xfb56, 4}, {0x686, 0xfb7a, 4}, {0x698, 0xfb8a, 2}, {0x6a9, 0xfb8e, 4},
    {0x6af, 0xfb92, 4}, {0x6cc, 0xfbfc, 4},
}};
constexpr char32_t kLam = 0x644, kTatweel = 0x640;

const ArabicLetter* arabic(char32_t code) {
  const auto found = std::ranges::lower_bound(kArabic, code, {}, &ArabicLetter::letter);
  return found != kArabic.end() && found->letter == code ? &*found : nullptr;
}

// Lam and the alef after it are one letter, with forms alone and at the end.
char32_t lam_alef(char32_t alef) {
  switch (alef) {
    case 0x622:
      return 0xfef5;
    case 0x623:
      return 0xfef7;
    case 0x625:
      return 0xfef9;
    case 0x627:
      return 0xfefb;
    default:
      return 0;
  }
}

bool is_arabic_mark(char32_t code) {
  return (code >= 0x64b && code <= 0x65f) || code == 0x670;
}

bool joins_next(char32_t code) {
  const ArabicLetter* letter = arabic(code);
  return code == kTatweel || (letter != nullptr && letter->count == 4);
}

bool joins_previous(char32_t code) {
  const ArabicLetter* letter = arabic(code);
  return code == kTatweel || (letter != nullptr && letter->count >= 2);
}

std::u32string joined(const std::u32string& text) {
  std::u32string result;
  char32_t previous = 0;  // letter
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t code = text[i];
    const ArabicLetter* letter = arabic(code);
    if (letter == nullptr) {
      result += code;
      if (!is_arabic_mark(code)) previous = code;
      continue;
    }
    size_t next = i + 1;
    while (next < text.size() && is_arabic_mark(text[next])) ++next;
    const bool from_previous = joins_next(previous) && letter->count >= 2;
    const char32_t ligature = code == kLam && next == i + 1 && next < text.size() ? lam_alef(text[next]) : 0;
    if (ligature != 0) {
      result += static_cast<char32_t>(ligature + (from_previous ? 1 : 0));
      previous = text[++i];
      continue;
    }
    const bool to_next = letter->count == 4 && next < text.size() && joins_previous(text[next]);
    result += static_cast<char32_t>(letter->forms + (from_previous ? 1 : 0) + (to_next ? 2 : 0));
    previous = code;
  }
  return result;
}

bool is_from_right(char32_t code) {
  return (code >= 0x590 && code <= 0x8ff) || (code >= 0xfb1d && code <= 0xfdff) ||
         (code >= 0xfe70 && code <= 0xfefc);
}

bool is_digit(char32_t code) {
  return (code >= '0' && code <= '9') || (code >= 0x660 && code <= 0x669) || (code >= 0x6f0 && code <= 0x6f9);
}

// A run begins and ends with a letter from the right; numbers in it keep their order.
std::u32string turned(std::u32string text) {
  for (size_t first = 0; first < text.size(); ++first) {
    if (!is_from_right(text[first]) || is_digit(text[first])) continue;
    size_t end = first + 1;
    for (size_t i = first; i < text.size(); ++i) {
      const bool is_latin = text[i] > ' ' && text[i] < 0x590 && !is_digit(text[i]) && (text[i] | 0x20) >= 'a';
      if (is_latin) break;
      if (is_from_right(text[i])) end = i + 1;
    }
    const auto at = [&](size_t i) { return text.begin() + static_cast<std::ptrdiff_t>(i); };
    std::reverse(at(first), at(end));
    for (size_t i = first; i < end; ++i) {
      size_t last = i;
      while (last < end && is_digit(text[last])) ++last;
      std::reverse(at(i), at(last));
      i = std::max(i, last);
    }
    first = end;
  }
  return text;
}

bool is_invisible(char32_t code) {
  return (code >= 0x200b && code <= 0x200f) || (code >= 0x2060 && code <= 0x2064) ||
         (code >= 0xfe00 && code <= 0xfe0f) || (code >= 0xe0100 && code <= 0xe01ef) || code == 0xfeff;
}

}  // namespace

std::u32string in_drawing_order(std::string_view utf8) {
  constexpr char32_t kBroken = 0xfffd;
  std::u32string text;
  while (!utf8.empty()) {
    const size_t size = utf8_length(utf8);
    const char32_t code = size == 0 ? kBroken : code_point(utf8.substr(0, size));
    utf8.remove_prefix(std::max<size_t>(size, 1));
    if (!is_invisible(code)) text += is_control(code) ? U' ' : code;
  }
  return turned(joined(text));
}

}  // namespace marrow::detect
