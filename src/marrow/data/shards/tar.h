// What a tar holds, and writing one: ustar, with the extensions of pax and GNU for long names. Nothing is
// ever unpacked, so names are only names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace marrow::data {

// Where bytes come from: a file, or memory.
struct ByteSource {
  uint64_t size = 0;
  // Fills `into`, all of which lies below `size`. Throws Error{kFile} where that fails.
  std::function<void(uint64_t offset, std::span<std::byte> into)> read;
};
ByteSource source_of(std::span<const std::byte> bytes);  // which outlive it

inline constexpr uint64_t kTarBlock = 512;
inline constexpr uint64_t kMostPaxBytes = 1 << 20;  // of one extended header
inline constexpr size_t kLongestMemberName = 4096;

struct TarMember {
  std::string name;
  uint64_t header = 0;  // where its header begins
  uint64_t offset = 0;  // where its content begins
  uint64_t bytes = 0;   // of the content
  bool is_file = true;  // not a folder, link or device
};

// Visits the members in order; contents are passed over. False where the archive ends without the empty block
// that ends a tar. Memory does not grow with the archive. `name` is what messages call it: they say at which
// byte. Throws Error{kFormat} for what is no tar, is cut off or contradicts itself, Error{kUnsupported} for
// sparse files and parts of archives of several volumes.
bool visit_tar(const ByteSource& source, const std::string& name,
               const std::function<void(const TarMember&)>& visit);

// Whether 512 bytes are a header: their sum is right.
bool is_tar_header(std::span<const std::byte> block);

// The header of a file, and what follows the content up to a whole number of blocks. The same name and size
// give the same bytes. Names that a header does not hold get an extended one before it.
std::string tar_header(std::string_view name, uint64_t bytes);
inline uint64_t tar_padding(uint64_t bytes) {
  return (kTarBlock - bytes % kTarBlock) % kTarBlock;
}
std::string tar_end();  // two empty blocks

}  // namespace marrow::data
