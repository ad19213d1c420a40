#include "marrow/model/python_names.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>

#include "marrow/model/spec.h"
#include "marrow/weights/checkpoint_names.h"

namespace marrow::model {
namespace {

void append_utf8(std::string& to, uint32_t code) {
  if (code < 0x80) {
    to += static_cast<char>(code);
  } else if (code < 0x800) {
    to += static_cast<char>(0xc0 | (code >> 6));
    to += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    to += static_cast<char>(0xe0 | (code >> 12));
    to += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    to += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    to += static_cast<char>(0xf0 | (code >> 18));
    to += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    to += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    to += static_cast<char>(0x80 | (code & 0x3f));
  }
}

class NamesParser {
 public:
  explicit NamesParser(std::string_view text) : rest_(text) {}

  std::optional<std::vector<std::string>> run() {
    skip_blanks();
    const bool dict = take('{');
    if (!dict && !take('[') && !take('(')) return std::nullopt;
    const char close = dict ? '}' : text_before_ == '[' ? ']' : ')';
    std::map<uint64_t, std::string> names;
    for (skip_blanks(); !take(close); skip_blanks()) {
      uint64_t key = names.size();
      if (dict && (!number(key) || !take_spaced(':'))) return std::nullopt;
      auto name = string();
      if (!name || names.size() == kMaxModelClasses ||
          !names.emplace(key, weights::display_text(*name)).second)
        return std::nullopt;
      skip_blanks();
      if (!take(',') && (rest_.empty() || rest_.front() != close)) return std::nullopt;
    }
    if (names.empty() || names.rbegin()->first != names.size() - 1) return std::nullopt;
    std::vector<std::string> list;
    for (auto& [key, name] : names) list.push_back(std::move(name));
    return list;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }
  bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    text_before_ = wanted;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_spaced(char wanted) {
    skip_blanks();
    const bool taken = take(wanted);
    skip_blanks();
    return taken;
  }
  bool number(uint64_t& value) {
    size_t digits = 0;
    value = 0;
    for (; digits < rest_.size() && digits < 9 && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits)
      value = 10 * value + static_cast<uint64_t>(rest_[digits] - '0');
    rest_.remove_prefix(digits);
    return digits > 0;
  }

  // \xhh, \uhhhh, \Uhhhhhhhh
  bool escaped_code(size_t digits, std::string& to) {
    if (rest_.size() < digits) return false;
    uint32_t code = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = rest_[i];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return false;
      code = code << 4 | static_cast<uint32_t>(digit);
    }
    if (code > 0x10ffff) return false;
    append_utf8(to, code);
    rest_.remove_prefix(digits);
    return true;
  }

  std::optional<std::string> string() {
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '\'' && quote != '"') return std::nullopt;
    rest_.remove_prefix(1);
    std::string result;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == quote) return result;
      if (c != '\\') {
        result += c;
        continue;
      }
      if (rest_.empty()) return std::nullopt;
      const char kind = rest_.front();
      rest_.remove_prefix(1);
      switch (kind) {
        case 'n':
          result += '\n';
          break;
        case 't':
          result += '\t';
          break;
        case 'r':
          result += '\r';
          break;
        case 'x':
        case 'u':
        case 'U':
          if (!escaped_code(kind == 'x' ? 2 : kind == 'u' ? 4 : 8, result)) return std::nullopt;
          break;
        default:
          result += kind;
      }
    }
    return std::nullopt;
  }

  std::string_view rest_;
  char text_before_ = '\0';  // the bracket that was taken last
};

// As Python's repr does it: the quote that needs no escape, control characters escaped, letters as they are.
std::string quoted(const std::string& name) {
  const char quote = name.find('\'') != std::string::npos && name.find('"') == std::string::npos ? '"' : '\'';
  std::string text(1, quote);
  for (const char c : name) {
    if (c == '\\' || c == quote) text += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else
      text += c;
  }
  return text + quote;
}

}  // namespace

std::string python_names(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", i, quoted(names[i]));
  return "{" + text + "}";
}

std::optional<std::vector<std::string>> parse_python_names(std::string_view text) {
  return NamesParser(text).run();
}

}  // namespace marrow::model
