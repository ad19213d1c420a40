// Reads the zip archives that torch.save writes: entries are stored, never compressed, so that each is a span
// of the file. Zip64 and data descriptors are understood; compressed, encrypted and multi-volume archives are
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace marrow::weights {

class ZipReader {
 public:
  // Reads and checks the whole directory: every entry lies in the file, no two overlap, names are unique,
  // local and central records agree. `bytes` must outlive the reader; `where` begins every message. Throws
  // Error{kFormat} for a broken archive, Error{kUnsupported} for a compressed or encrypted one.
  ZipReader(std::span<const std::byte> bytes, const std::string& where);

  static bool looks_like_zip(std::span<const std::byte> bytes);

  struct Entry {
    std::span<const std::byte> bytes;
    uint32_t crc = 0;
    bool verified = false;
  };
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

  // The content of an entry, once its CRC-32 was found right. Throws Error{kFormat} when it is missing or
  // damaged.
  std::span<const std::byte> read(std::string_view name);

 private:
  std::string where_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace marrow::weights
