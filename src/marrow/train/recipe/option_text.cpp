#include "marrow/train/recipe/option_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "marrow/base/text.h"

namespace marrow::train {

bool is_none(std::string_view text) {
  const std::string lower = to_lower(text);
  return lower.empty() || lower == "null" || lower == "none" || lower == "~";
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

// Text that YAML would read as something else, or not at all, goes in quotes.
std::string yaml_text(const std::string& text) {
  if (text.empty()) return "null";
  const bool plain = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  });
  if (plain && text.front() != '-' && !(is_none(text) || parse_number(text))) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ') {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace marrow::train
