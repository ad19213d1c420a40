#include "marrow/serve/http/target.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/text.h"
#include "marrow/base/utf8.h"

namespace marrow::serve {
namespace {

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  while (path.size() > 1) {
    path.remove_prefix(1);
    const size_t end = std::min(path.find('/'), path.size());
    segments.push_back(percent_decoded(path.substr(0, end)));
    path.remove_prefix(end);
  }
  return segments;
}

std::vector<Field> query_of(std::string_view text) {
  std::vector<Field> query;
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size());
    if (!pair.empty())
      query.push_back({percent_decoded(pair.substr(0, equals), true),
                       percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true)});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return query;
}

}  // namespace

int hexadecimal_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Target parse_target(std::string_view text) {
  Target target;
  if (text == "*") {
    target.path = text;
    return target;
  }
  constexpr std::string_view kScheme = "http://", kSecure = "https://";
  const std::string start = to_lower(text.substr(0, kSecure.size()));
  const size_t scheme = start.starts_with(kScheme)   ? kScheme.size()
                        : start.starts_with(kSecure) ? kSecure.size()
                                                     : 0;
  if (scheme > 0) {
    text.remove_prefix(scheme);
    const size_t end = std::min(text.find_first_of("/?#"), text.size());
    target.authority = text.substr(0, end);
    if (target.authority.empty()) throw HttpError(400, "the target names no host");
    text.remove_prefix(end);
  } else if (!text.starts_with('/')) {
    throw HttpError(400, "the target is not a path that begins with '/'");
  }
  if (text.find('#') != std::string_view::npos) throw HttpError(400, "the target has a fragment");
  const size_t question = std::min(text.find('?'), text.size());
  target.path = text.substr(0, question);
  if (target.path.empty()) target.path = "/";
  target.segments = segments_of(target.path);
  target.query = query_of(text.substr(std::min(question + 1, text.size())));
  return target;
}

std::string percent_decoded(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hexadecimal_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hexadecimal_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        throw HttpError(400, "a '%' in the target is not followed by two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      throw HttpError(400, "a control character in the target");
    decoded += c;
  }
  if (!is_utf8(decoded)) throw HttpError(400, "the target is not UTF-8");
  return decoded;
}

std::string loggable(std::string_view text, size_t longest) {
  std::string shown;
  for (const char c : text) {
    const bool plain = c > 0x20 && c < 0x7f && c != '"' && c != '\\';
    const std::string piece =
        plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    if (shown.size() + piece.size() > longest) break;
    shown += piece;
  }
  return shown;
}

}  // namespace marrow::serve
