#include "marrow/serve/http/head.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/text.h"

namespace marrow::serve {
namespace {

bool is_token_character(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return letter || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}

[[noreturn]] void malformed(const std::string& what) {
  throw HttpError(400, "malformed request: " + what);
}

// Bytes: "OPTIONS", with room.
constexpr size_t kLongestMethod = 32;

int minor_version(std::string_view version) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  constexpr std::string_view kName = "HTTP/";
  if (version.size() != kName.size() + 3 || !version.starts_with(kName) || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7]))
    malformed("its first line is not 'METHOD TARGET HTTP/1.1'");
  if (version != "HTTP/1.0" && version != "HTTP/1.1")
    throw HttpError(505, "this server speaks HTTP/1.1 and HTTP/1.0, not " + std::string(version));
  return version[7] - '0';
}

}  // namespace

bool is_field_text(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

Field parse_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') malformed("a header line is continued on the next one");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    malformed("a header line is not 'Name: value'");
  std::string_view value = line.substr(colon + 1);
  if (!std::ranges::all_of(value, is_field_text)) malformed("a control character in a header line");
  const size_t first = value.find_first_not_of(" \t");
  value = first == std::string_view::npos ? std::string_view()
                                          : value.substr(first, value.find_last_not_of(" \t") + 1 - first);
  return {to_lower(line.substr(0, colon)), std::string(value)};
}

std::optional<size_t> HeadReader::read(std::string_view received) {
  while (true) {
    const size_t end = received.find('\n', searched_);
    const size_t known = end == std::string_view::npos ? received.size() : end + 1;
    searched_ = known;
    if (!has_request_line_ && known - line_ > limits_.request_line + 2)
      throw HttpError(414, fmt::format("the request line is longer than {} bytes", limits_.request_line));
    if (has_request_line_ && known - fields_begin_ > limits_.head)
      throw HttpError(431, fmt::format("the header is longer than {} bytes", limits_.head));
    if (end == std::string_view::npos) return {};
    const std::string_view line = received.substr(line_, end - line_);
    line_ = end + 1;
    if (!line.ends_with('\r')) malformed("a line does not end with CR LF");
    if (line.size() == 1 && has_request_line_) return line_;
    take_line(line.substr(0, line.size() - 1));
  }
}

void HeadReader::take_line(std::string_view line) {
  if (!has_request_line_) {
    // Old clients send an empty line after a body.
    if (line.empty() && !skipped_empty_line_) {
      skipped_empty_line_ = true;
      return;
    }
    take_request_line(line);
    has_request_line_ = true;
    fields_begin_ = line_;
    return;
  }
  if (head_.fields.size() == limits_.fields)
    throw HttpError(431, fmt::format("more than {} header lines", limits_.fields));
  head_.fields.push_back(parse_field(line));
}

void HeadReader::take_request_line(std::string_view line) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    malformed("its first line is not 'METHOD TARGET HTTP/1.1'");
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1);
  if (!is_token(method) || method.size() > kLongestMethod) malformed("its method is no method");
  if (target.empty() || !std::ranges::all_of(target, is_visible))
    malformed("its target holds blanks, control characters or bytes that are not ASCII");
  head_.minor_version = minor_version(line.substr(last + 1));
  head_.method = method;
  head_.target = target;
}

}  // namespace marrow::serve
