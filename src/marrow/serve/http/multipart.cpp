#include "marrow/serve/http/multipart.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/text.h"
#include "marrow/serve/http/head.h"

namespace marrow::serve {
namespace {

[[noreturn]] void malformed_form(const std::string& what) {
  throw HttpError(400, "malformed multipart/form-data: " + what);
}

struct Parameter {
  std::string name;  // in lower case
  std::string value;
};

// The next of "; name=value; name="quoted value"", taken from the front; false at the end. A backslash in
// quotes stands before a quote or another backslash, as old clients write them.
bool take_parameter(std::string_view& text, Parameter& parameter) {
  text = trimmed(text);
  while (text.starts_with(';')) text = trimmed(text.substr(1));
  if (text.empty()) return false;
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || !is_token(trimmed(text.substr(0, equals))))
    malformed_form("a header's parameter is not name=value");
  parameter.name = to_lower(trimmed(text.substr(0, equals)));
  parameter.value.clear();
  text = trimmed(text.substr(equals + 1));
  if (!text.starts_with('"')) {
    const size_t end = std::min(text.find(';'), text.size());
    parameter.value = trimmed(text.substr(0, end));
    text.remove_prefix(end);
    return true;
  }
  size_t i = 1;
  for (; i < text.size() && text[i] != '"'; ++i) {
    const bool escaped =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    parameter.value += text[escaped ? ++i : i];
  }
  if (i >= text.size()) malformed_form("a quote in a header does not end");
  text.remove_prefix(i + 1);
  if (!trimmed(text).empty() && !trimmed(text).starts_with(';'))
    malformed_form("text behind a quote in a header");
  return true;
}

// Browsers write these three so; others stay.
std::string unescaped(std::string text) {
  for (const auto& [escape, character] :
       {std::pair<std::string_view, char>{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}})
    for (size_t at = 0; (at = text.find(escape, at)) != std::string::npos; ++at)
      text.replace(at, escape.size(), 1, character);
  return text;
}

void read_disposition(std::string_view value, Part& part) {
  const size_t end = std::min(value.find(';'), value.size());
  if (to_lower(trimmed(value.substr(0, end))) != "form-data")
    malformed_form("a part's Content-Disposition is not form-data");
  value.remove_prefix(end);
  Parameter parameter;
  bool named = false;
  while (take_parameter(value, parameter)) {
    if (parameter.name == "name") {
      if (named) malformed_form("a part has two names");
      named = true;
      part.name = unescaped(parameter.value);
    } else if (parameter.name == "filename") {
      if (part.has_file) malformed_form("a part has two file names");
      part.has_file = true;
      part.file = unescaped(parameter.value);
    }
  }
  if (!named) malformed_form("a part has no name");
}

// The header of a part, from the front of `text`; returns its size with the empty line.
size_t read_part_header(std::string_view text, Part& part) {
  size_t fields = 0, at = 0;
  bool disposed = false;
  while (true) {
    const size_t end = text.substr(0, kMostPartHeader).find("\r\n", at);
    if (end == std::string_view::npos)
      malformed_form(text.size() > kMostPartHeader
                         ? fmt::format("a part's header is longer than {} bytes", kMostPartHeader)
                         : "a part's header does not end");
    const std::string_view line = text.substr(at, end - at);
    at = end + 2;
    if (line.empty()) break;
    if (++fields > kMostPartFields)
      malformed_form(fmt::format("a part has more than {} header lines", kMostPartFields));
    const Field field = parse_field(line);
    if (field.name != "content-disposition") continue;
    if (disposed) malformed_form("a part has two Content-Dispositions");
    disposed = true;
    read_disposition(field.value, part);
  }
  if (!disposed) malformed_form("a part has no Content-Disposition");
  return at;
}

// What follows a delimiter on its line; at least the two hyphens of the last one.
struct Delimiter {
  size_t begin = std::string_view::npos;  // of its CR LF
  size_t end = 0;                         // behind its line
  bool last = false;
};

// The next at or behind `from`, which is the start of the body or anywhere in it.
Delimiter find_delimiter(std::string_view body, std::string_view mark, size_t from) {
  while (true) {
    const std::string_view without_line_end = mark.substr(2);
    const bool at_start = from == 0 && body.starts_with(without_line_end);
    const size_t begin = at_start ? 0 : body.find(mark, from);
    if (begin == std::string_view::npos) return {};
    size_t at = begin + (at_start ? without_line_end.size() : mark.size());
    const std::string_view rest = body.substr(at);
    if (rest.starts_with("--")) return {begin, at + 2, true};
    // Blanks may pad the line.
    while (at < body.size() && (body[at] == ' ' || body[at] == '\t')) ++at;
    if (body.substr(at).starts_with("\r\n")) return {begin, at + 2, false};
    // The boundary's characters with others behind them: content.
    from = begin + 1;
  }
}

bool is_boundary(std::string_view text) {
  const auto allowed = [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 70 && text.back() != ' ' && std::ranges::all_of(text, allowed);
}

}  // namespace

std::string multipart_boundary(std::string_view content_type) {
  const size_t end = std::min(content_type.find(';'), content_type.size());
  if (to_lower(trimmed(content_type.substr(0, end))) != "multipart/form-data") return {};
  std::string_view parameters = content_type.substr(end);
  std::string boundary;
  Parameter parameter;
  while (take_parameter(parameters, parameter)) {
    if (parameter.name != "boundary") continue;
    if (!boundary.empty()) malformed_form("two boundaries");
    boundary = parameter.value;
    if (!is_boundary(boundary))
      malformed_form("its boundary is not 1 to 70 of the characters that one may have");
  }
  if (boundary.empty()) malformed_form("its Content-Type names no boundary");
  return boundary;
}

std::vector<Part> parse_multipart(std::string_view body, std::string_view boundary) {
  const std::string mark = "\r\n--" + std::string(boundary);
  Delimiter delimiter = find_delimiter(body, mark, 0);
  if (delimiter.begin == std::string_view::npos) malformed_form("its boundary is nowhere in the body");
  std::vector<Part> parts;
  while (!delimiter.last) {
    if (parts.size() == kMostParts) malformed_form(fmt::format("more than {} parts", kMostParts));
    Part part;
    const size_t content = delimiter.end + read_part_header(body.substr(delimiter.end), part);
    // The empty line's own CR LF may begin the next delimiter: a part without content.
    delimiter = find_delimiter(body, mark, content - 2);
    if (delimiter.begin == std::string_view::npos) malformed_form("its last part does not end");
    part.content = body.substr(content, std::max(delimiter.begin, content) - content);
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace marrow::serve
