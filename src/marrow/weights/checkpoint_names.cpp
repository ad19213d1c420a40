#include "marrow/weights/checkpoint_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::weights {
namespace {

// Bytes of the well-formed UTF-8 character at the front of the text; 0 when there is none (Unicode 15, table
// 3-7).
size_t character_size(std::string_view text) {
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

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string checked_name(std::string name, const std::string& where) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' '; };
  if (name.empty() || name.size() > kMaxTensorName || !is_utf8(name) || std::ranges::any_of(name, control))
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: '{}' cannot be the name of a tensor", where, printable(name)));
  return name;
}

std::string display_text(std::string_view text) {
  constexpr size_t kLongest = 1000;
  std::string result;
  while (!text.empty()) {
    const size_t size = character_size(text);
    if (result.size() + std::max<size_t>(size, 1) > kLongest) break;
    result += size == 0 ? std::string_view("?") : text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return result;
}

}  // namespace marrow::weights
