// A file that is read piece by piece: what is larger than memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "marrow/base/file_descriptor.h"

namespace marrow {

// Any thread may read; every error names the path.
class RandomAccessFile {
 public:
  // Throws Error{kFile} as MappedFile does.
  explicit RandomAccessFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }  // when it was opened

  // Fills `into` from `offset` on. Throws Error{kFile} where the file ends before, or cannot be read.
  void read(uint64_t offset, std::span<std::byte> into) const;
  // What is read next lies behind what was read last: the system reads further ahead.
  void expect_sequential() const;

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  uint64_t size_;
};

}  // namespace marrow
