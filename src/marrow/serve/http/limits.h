// What the server takes from a client, in one place. Each is a flag of marrow-serve.
#pragma once

#include <cstddef>

namespace marrow::serve {

struct HttpLimits {
  size_t request_line = 8 << 10;    // bytes
  size_t head = 16 << 10;           // bytes of the header fields; of the trailer fields too
  size_t fields = 100;              // of the header; of the trailer too
  size_t body = 64 << 20;           // bytes, also after unpacking
  size_t bodies = size_t{1} << 30;  // bytes of all bodies that are held at one time
  double head_seconds = 10;         // from a request's first byte to the end of its head
  double request_seconds = 30;      // from a request's first byte to its last
  double body_rate = 1024;    // bytes a second that a body brings at least, after the first five seconds
  double idle_seconds = 30;   // between requests
  double write_seconds = 30;  // without a byte that the client takes
  size_t connections = 512;
};

}  // namespace marrow::serve
