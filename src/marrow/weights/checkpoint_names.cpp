#include "marrow/weights/checkpoint_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"

namespace marrow::weights {

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
    const size_t size = utf8_length(text);
    if (result.size() + std::max<size_t>(size, 1) > kLongest) break;
    result += size == 0 ? std::string_view("?") : text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return result;
}

}  // namespace marrow::weights
