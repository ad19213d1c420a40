// What a request asks for: the path in its decoded parts, and the query.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/serve/http/message.h"

namespace marrow::serve {

struct Target {
  std::string authority;              // "host:port" of http://host:port/path; else ""
  std::string path;                   // as it came, "/v2/models/a%20b"
  std::vector<std::string> segments;  // {"v2", "models", "a b"}; a slash at the end adds none
  std::vector<Field> query;           // in order, decoded; "+" is a blank
};

// Of "/path?query", "http://host/path?query" or "*" (which has no segments). Throws HttpError{400} for
// anything else, for broken escapes, for escapes of control characters, and for a segment that is no UTF-8.
Target parse_target(std::string_view text);

// "%41" -> "A". Throws HttpError{400} for broken escapes, for NUL and other control characters, for no UTF-8.
std::string percent_decoded(std::string_view text, bool plus_is_blank = false);

// 0 to 15, or -1 for another character.
int hexadecimal_digit(char c);

// For a log: cut to `longest` bytes; visible ASCII stays, other bytes become %XX.
std::string loggable(std::string_view text, size_t longest = 200);

}  // namespace marrow::serve
