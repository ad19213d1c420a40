#include "fuzz/checksums.h"

#include <cstdint>

#include "marrow/base/crc32.h"

namespace marrow::fuzz {
namespace {

uint32_t checksum_of(const std::string& bytes, size_t at, size_t size) {
  return crc32(std::as_bytes(std::span(bytes).subspan(at, size)));
}

}  // namespace

std::string with_png_checksums(Bytes bytes) {
  std::string png(text_of(bytes));
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  if (!png.starts_with(kSignature)) return png;
  // Length, kind, content, checksum; numbers are big-endian.
  for (size_t at = kSignature.size(); at + 12 <= png.size();) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(png[at + i]);
    if (length > png.size() - at - 12) break;
    const uint32_t checksum = checksum_of(png, at + 4, length + 4);
    at += length + 8;
    for (int i = 0; i < 4; ++i) png[at++] = static_cast<char>(checksum >> (24 - 8 * i));
  }
  return png;
}

std::string with_label_cache_checksum(Bytes bytes) {
  std::string cache(text_of(bytes));
  constexpr size_t kLengthAt = 16, kHeader = 24, kChecksum = 4;
  if (cache.size() < kHeader + kChecksum) return cache;
  const uint64_t length = cache.size() - kHeader - kChecksum;
  for (size_t i = 0; i < 8; ++i) cache[kLengthAt + i] = static_cast<char>(length >> (8 * i));
  const uint32_t checksum = checksum_of(cache, 0, cache.size() - kChecksum);
  for (size_t i = 0; i < kChecksum; ++i)
    cache[cache.size() - kChecksum + i] = static_cast<char>(checksum >> (8 * i));
  return cache;
}

}  // namespace marrow::fuzz
