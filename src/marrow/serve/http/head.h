// The head of a request, read strictly and with bounded memory (RFC 9112; what it lets a server be lenient
// about is refused here, since two readers that differ can be played against each other).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "marrow/serve/http/limits.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {

// Refused: 400 for lines that do not end with CR LF, control characters, a blank before the colon, folded
// lines and whatever else is no token where one is wanted; 414 for a long request line and 431 for a long
// header or many fields, both as soon as that many bytes are there; 505 for other versions than 1.0 and 1.1.
class HeadReader {
 public:
  explicit HeadReader(const HttpLimits& limits) : limits_(limits) {}

  // `received` begins with the request's first byte and has grown since the last call. The result is the size
  // of the head with its empty line, or nothing while some of it is missing. Throws HttpError.
  std::optional<size_t> read(std::string_view received);

  // After read() gave its size.
  Head& head() { return head_; }

 private:
  void take_line(std::string_view line);
  void take_request_line(std::string_view line);

  const HttpLimits& limits_;
  Head head_;
  size_t line_ = 0;      // where the current line begins
  size_t searched_ = 0;  // there is no line end before it
  size_t fields_begin_ = 0;
  bool has_request_line_ = false;
  bool skipped_empty_line_ = false;
};

// A field's line without its CR LF. Throws HttpError{400}.
Field parse_field(std::string_view line);

// Of RFC 9110, 5.6.2: letters, digits and !#$%&'*+-.^_`|~.
bool is_token(std::string_view text);
// Tabs, blanks, visible characters and bytes of other character sets.
bool is_field_text(char c);

}  // namespace marrow::serve
