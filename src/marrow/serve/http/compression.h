// gzip, and "deflate", by which clients mean zlib's format (RFC 9110, 8.4.1).
#pragma once

#include <string>
#include <string_view>

#include "marrow/serve/http/message.h"

namespace marrow::serve {

enum class Coding { kIdentity, kGzip, kDeflate };

// Of Content-Encoding. Throws HttpError{415} for others, with those that are understood.
Coding content_coding(const Head& head);

// Throws HttpError: 400 for broken or cut data and for bytes behind their end, 413 as soon as more than
// `most` bytes come out.
std::string unpack(std::string_view packed, Coding coding, size_t most);

// The coding that Accept-Encoding asks for, where it names one alone. Browsers and most programs offer a
// list, which a plain response suits as well: to pack predictions takes longer than to make them.
Coding accepted_coding(const Head& head);
std::string pack(std::string_view plain, Coding coding);
// As Content-Encoding spells it.
std::string_view coding_name(Coding coding);

}  // namespace marrow::serve
