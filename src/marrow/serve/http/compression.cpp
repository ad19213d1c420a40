#include "marrow/serve/http/compression.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <vector>

#include "marrow/base/text.h"

namespace marrow::serve {
namespace {

constexpr size_t kStep = 64 << 10;  // bytes that come out at a time
constexpr int kWindow = 15, kGzipWindow = 16 + 15;
// Of predictions level 6 makes a fifth less than level 1 and takes four times as long.
constexpr int kLevel = 1;

int window(Coding coding) {
  return coding == Coding::kGzip ? kGzipWindow : kWindow;
}

// zlib does not write to it.
Bytef* input_bytes(std::string_view text) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
}

// zlib counts in 32 bits.
uInt piece(size_t bytes) {
  return static_cast<uInt>(std::min<size_t>(bytes, 1u << 30));
}

// A stream that is always ended.
class Inflater {
 public:
  explicit Inflater(Coding coding) {
    if (inflateInit2(&stream, window(coding)) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream stream = {};
};

class Deflater {
 public:
  explicit Deflater(Coding coding) {
    if (deflateInit2(&stream, kLevel, Z_DEFLATED, window(coding), 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  ~Deflater() { deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  z_stream stream = {};
};

}  // namespace

Coding content_coding(const Head& head) {
  const std::string* field = head.find("content-encoding");
  if (field == nullptr) return Coding::kIdentity;
  const std::string name = to_lower(*field);
  if (head.count("content-encoding") == 1) {
    if (name == "identity" || name.empty()) return Coding::kIdentity;
    if (name == "gzip" || name == "x-gzip") return Coding::kGzip;
    if (name == "deflate") return Coding::kDeflate;
  }
  throw HttpError(415, fmt::format("Content-Encoding '{}'; wanted gzip, deflate or none", printable(*field)),
                  {{"Accept-Encoding", "gzip, deflate"}});
}

std::string unpack(std::string_view packed, Coding coding, size_t most) {
  if (coding == Coding::kIdentity) return std::string(packed);
  Inflater inflater(coding);
  z_stream& stream = inflater.stream;
  std::string plain;
  std::vector<char> step(kStep);
  size_t given = 0;
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      stream.next_in = input_bytes(packed.substr(given));
      stream.avail_in = piece(packed.size() - given);
      given += stream.avail_in;
    }
    stream.next_out = reinterpret_cast<Bytef*>(step.data());
    stream.avail_out = static_cast<uInt>(step.size());
    state = inflate(&stream, Z_NO_FLUSH);
    plain.append(step.data(), step.size() - stream.avail_out);
    if (plain.size() > most)
      throw HttpError(413, fmt::format("the unpacked body is larger than {} bytes", most));
    if (state == Z_BUF_ERROR && given == packed.size())
      throw HttpError(400, fmt::format("the body's {} data end too early", coding_name(coding)));
    if (state != Z_OK && state != Z_STREAM_END)
      throw HttpError(400, fmt::format("the body is no {} data", coding_name(coding)));
  }
  if (stream.avail_in > 0 || given < packed.size())
    throw HttpError(400, fmt::format("bytes behind the end of the body's {} data", coding_name(coding)));
  return plain;
}

Coding accepted_coding(const Head& head) {
  const std::string* field = head.find("accept-encoding");
  if (field == nullptr || head.count("accept-encoding") > 1 ||
      field->find_first_of(",*") != std::string::npos)
    return Coding::kIdentity;
  if (quality_of(*field, "gzip") > 0) return Coding::kGzip;
  return quality_of(*field, "deflate") > 0 ? Coding::kDeflate : Coding::kIdentity;
}

std::string pack(std::string_view plain, Coding coding) {
  if (coding == Coding::kIdentity) return std::string(plain);
  Deflater deflater(coding);
  z_stream& stream = deflater.stream;
  std::string packed;
  std::vector<char> step(kStep);
  size_t given = 0;
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      stream.next_in = input_bytes(plain.substr(given));
      stream.avail_in = piece(plain.size() - given);
      given += stream.avail_in;
    }
    stream.next_out = reinterpret_cast<Bytef*>(step.data());
    stream.avail_out = static_cast<uInt>(step.size());
    state = deflate(&stream, given == plain.size() ? Z_FINISH : Z_NO_FLUSH);
    packed.append(step.data(), step.size() - stream.avail_out);
  }
  return packed;
}

std::string_view coding_name(Coding coding) {
  switch (coding) {
    case Coding::kGzip:
      return "gzip";
    case Coding::kDeflate:
      return "deflate";
    case Coding::kIdentity:
      break;
  }
  return "identity";
}

}  // namespace marrow::serve
