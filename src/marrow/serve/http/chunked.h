// A chunked body (RFC 9112, 7.1), read strictly and with bounded memory.
#pragma once

#include <string>
#include <string_view>

#include "marrow/serve/http/limits.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {

class ChunkReader {
 public:
  explicit ChunkReader(const HttpLimits& limits) : limits_(limits) {}

  // Takes bytes from the front of `received` and appends what they hold of the body to `body`; returns how
  // many it took. Trailer fields are checked and dropped. Throws HttpError: 400 for a size that is not one to
  // eight hexadecimal digits, a long extension, data that do not end with CR LF; 413 as soon as a size says
  // that the body is above its limit; 431 for a long trailer.
  size_t read(std::string_view received, std::string& body);

  bool done() const { return part_ == Part::kDone; }

 private:
  enum class Part { kSize, kData, kDataEnd, kTrailer, kDone };

  size_t take_data(std::string_view received, std::string& body);
  void take_size(std::string_view line, size_t body_size);
  void take_trailer(std::string_view line);

  const HttpLimits& limits_;
  Part part_ = Part::kSize;
  size_t left_ = 0;   // bytes of the current chunk
  std::string line_;  // as far as it came
  size_t trailer_bytes_ = 0;
  size_t trailer_fields_ = 0;
};

}  // namespace marrow::serve
