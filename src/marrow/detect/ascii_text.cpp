#include "marrow/detect/ascii_text.h"

#include <array>
#include <cstdint>

namespace marrow::detect {
namespace {

struct Range {
  uint32_t first;
  // One entry a code point, separated by spaces; "-" for a letter that is silent.
  std::string_view letters;
};

constexpr std::array<Range, 4> kRanges = {{
    {0xa0,
     "- ! c L ? Y | S ? C a < ? - R - o +- 2 3 ' u ? . , 1 o > 1/4 1/2 3/4 ? A A A A Ae A AE C E E E E I I I "
     "I D N O O O "
     "O Oe x O U U U Ue Y Th ss a a a a ae a ae c e e e e i i i i d n o o o o oe / o u u u ue y th y"},
    {0x100,
     "A a A a A a C c C c C c C c D d D d E e E e E e E e E e G g G g G g G g H h H h I i I i I i I i I i IJ "
     "ij J j K k "
     "k L l L l L l L l L l N n N n N n n N n O o O o O o OE oe R r R r R r S s S s S s S s T t T t T t U u "
     "U u U u U u "
     "U u U u W w Y y Y Z z Z z Z z s"},
    {0x386,
     "A . E I I ? O ? Y O i A B G D E Z I Th I K L M N X O P R ? S T Y F Ch Ps O I Y a e i i y a b g d e z i "
     "th i k l m "
     "n x o p r s s t y f ch ps o i y o y o"},
    {0x400,
     "E Yo Dj G Ye Z I Yi J Lj Nj C K I U Dz A B V G D E Zh Z I Y K L M N O P R S T U F Kh Ts Ch Sh Shch - Y "
     "- E Yu Ya "
     "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya e yo dj g ye z i yi j lj nj "
     "c k i u dz"},
}};

std::string_view letter(uint32_t code_point) {
  for (const Range& range : kRanges) {
    if (code_point < range.first) continue;
    std::string_view rest = range.letters;
    for (uint32_t skip = code_point - range.first; skip > 0 && !rest.empty(); --skip) {
      size_t space = rest.find(' ');
      rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
    }
    if (rest.empty()) continue;
    std::string_view found = rest.substr(0, rest.find(' '));
    return found == "-" ? std::string_view() : found;
  }
  return "?";
}

// The code point at the front of `text`, and how many bytes it takes; 0 for a broken one, which takes a byte.
struct CodePoint {
  uint32_t value;
  size_t bytes;
};

CodePoint first_code_point(std::string_view text) {
  auto lead = static_cast<uint8_t>(text[0]);
  size_t bytes = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (bytes == 0 || bytes > text.size()) return {0, 1};
  uint32_t value = bytes == 1 ? lead : lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    auto next = static_cast<uint8_t>(text[i]);
    if (next >> 6 != 2) return {0, 1};
    value = (value << 6) | (next & 0x3fu);
  }
  return {value, bytes};
}

}  // namespace

std::string ascii_text(std::string_view utf8) {
  std::string ascii;
  while (!utf8.empty()) {
    auto [value, bytes] = first_code_point(utf8);
    bool is_combining_accent = value >= 0x300 && value < 0x370;
    if (bytes == 1) {
      auto byte = static_cast<uint8_t>(utf8[0]);
      ascii += byte >= 0x7f ? '?' : byte < ' ' ? ' ' : utf8[0];
    } else if (!is_combining_accent) {
      ascii += letter(value);
    }
    utf8.remove_prefix(bytes);
  }
  return ascii;
}

}  // namespace marrow::detect
