#include "marrow/serve/http/chunked.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/serve/http/head.h"
#include "marrow/serve/http/target.h"

namespace marrow::serve {
namespace {

constexpr size_t kMostSizeDigits = 8;
constexpr size_t kLongestExtension = 256;

[[noreturn]] void malformed_chunk(const std::string& what) {
  throw HttpError(400, "malformed chunked body: " + what);
}

}  // namespace

size_t ChunkReader::read(std::string_view received, std::string& body) {
  size_t taken = 0;
  while (taken < received.size() && !done()) {
    if (part_ == Part::kData) {
      taken += take_data(received.substr(taken), body);
      continue;
    }
    const size_t longest = part_ == Part::kTrailer ? limits_.head : kMostSizeDigits + kLongestExtension + 2;
    const size_t end = received.find('\n', taken);
    const size_t line_end = end == std::string_view::npos ? received.size() : end + 1;
    if (line_.size() + line_end - taken > longest) {
      if (part_ == Part::kTrailer) throw HttpError(431, "the trailer is too long");
      malformed_chunk("a line that should end with CR LF goes on");
    }
    line_.append(received.substr(taken, line_end - taken));
    taken = line_end;
    if (end == std::string_view::npos) break;
    if (!line_.ends_with("\r\n")) malformed_chunk("a line does not end with CR LF");
    const std::string line = line_.substr(0, line_.size() - 2);
    line_.clear();
    if (part_ == Part::kSize) {
      take_size(line, body.size());
    } else if (part_ == Part::kDataEnd) {
      if (!line.empty()) malformed_chunk("a chunk holds more than its size says");
      part_ = Part::kSize;
    } else {
      take_trailer(line);
    }
  }
  return taken;
}

size_t ChunkReader::take_data(std::string_view received, std::string& body) {
  const size_t size = std::min(left_, received.size());
  body.append(received.substr(0, size));
  left_ -= size;
  if (left_ == 0) part_ = Part::kDataEnd;
  return size;
}

void ChunkReader::take_size(std::string_view line, size_t body_size) {
  size_t digits = 0, size = 0;
  while (digits < line.size() && hexadecimal_digit(line[digits]) >= 0) {
    size = size * 16 + static_cast<size_t>(hexadecimal_digit(line[digits]));
    if (++digits > kMostSizeDigits) malformed_chunk("a size of more than eight digits");
  }
  const std::string_view extension = line.substr(digits);
  if (digits == 0 || (!extension.empty() && extension.front() != ';'))
    malformed_chunk("a chunk's size is not hexadecimal");
  if (!std::ranges::all_of(extension, is_field_text)) malformed_chunk("a control character in an extension");
  if (size > limits_.body || body_size > limits_.body - size)
    throw HttpError(413, fmt::format("the body is larger than {} bytes", limits_.body));
  left_ = size;
  part_ = size == 0 ? Part::kTrailer : Part::kData;
}

void ChunkReader::take_trailer(std::string_view line) {
  if (line.empty()) {
    part_ = Part::kDone;
    return;
  }
  trailer_bytes_ += line.size();
  if (trailer_bytes_ > limits_.head || ++trailer_fields_ > limits_.fields)
    throw HttpError(431, "the trailer is too long");
  parse_field(line);
}

}  // namespace marrow::serve
