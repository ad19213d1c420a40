// multipart/form-data (RFC 7578) as browsers and curl send it. Scanned in place: parts are views of the body.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/serve/http/message.h"

namespace marrow::serve {

inline constexpr size_t kMostParts = 64;
inline constexpr size_t kMostPartHeader = 4 << 10;  // bytes
inline constexpr size_t kMostPartFields = 16;

struct Part {
  std::string name;
  std::string file;  // "filename" as the client spells it, never a path for us; "" without one
  bool has_file = false;
  std::string_view content;  // in the body
};

// The boundary that a Content-Type names; nothing but "" where it is not multipart/form-data. Throws
// HttpError{400} where it is, without a boundary that RFC 2046 allows.
std::string multipart_boundary(std::string_view content_type);

// Throws HttpError{400} for a body that does not begin and end with its delimiters, and beyond the limits.
std::vector<Part> parse_multipart(std::string_view body, std::string_view boundary);

}  // namespace marrow::serve
