// Whole files in and out: read-only mappings, bounded reads, and writes that are never seen half done. Every
// error names the path.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "marrow/base/file_descriptor.h"

namespace marrow {

// A regular file mapped read-only for as long as the object lives. Throws Error{kFile} when the path is
// missing, a folder, a pipe or a device, or unreadable. An empty file maps to an empty span. Another process
// that shortens the file in place while it is mapped ends this one (SIGBUS); replacing it by rename, as
// write_file_atomically does, is safe.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

// The content of a regular file. Throws Error{kFile} as MappedFile does, and when the file is longer than
// max_bytes.
std::string read_file(const std::filesystem::path& path, size_t max_bytes);

// A file that is written piece by piece. Until commit() it has no name, so that a process that is killed
// leaves nothing, or a hidden one that ends in .tmp where the file system knows no files without a name.
// commit() syncs it, puts it in the place of `path` and syncs the folder: at every moment `path` holds either
// the old content or the new. Without it what was written goes with the object. Everything throws
// Error{kFile}: no such folder, no permission, disk full, ...
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_, name_;
  FileDescriptor file_;
};

// Writes the parts, one after another, as an AtomicFile does. After an error the old content is still there,
// and nothing else. The folder must exist.
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> parts);
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace marrow
