// How a request's body is delimited, and what of its head is refused before a byte of the body is read.
#pragma once

#include <cstdint>
#include <optional>

#include "marrow/serve/http/limits.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {

struct Framing {
  bool chunked = false;
  std::optional<uint64_t> length;  // bytes of the body, where it is stated
  bool keep_alive = true;          // the client wants to use the connection further
  bool expects_continue = false;   // it waits for "100 Continue"

  bool has_body() const { return chunked || length.value_or(0) > 0; }
};

// Throws HttpError: 400 for no or several Hosts (HTTP/1.0 may leave it out), for lengths that are no plain
// numbers or differ, for a length beside a transfer coding; 413 for a body above the limit; 417 for other
// expectations; 501 for transfer codings other than one "chunked".
Framing framing_of(const Head& head, const HttpLimits& limits);

}  // namespace marrow::serve
