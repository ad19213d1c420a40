// Keeps a folder or a file to one process at a time.
#pragma once

#include <filesystem>
#include <string_view>

#include "marrow/base/file_descriptor.h"

namespace marrow {

// Holds the lock until the object goes or the process ends, in whatever way. The file is made where nothing
// is. Throws Error{kUsage} "PATH: another process DOES" while another has it. Where the file system knows no
// locks, there is none.
class FileLock {
 public:
  FileLock(const std::filesystem::path& path, std::string_view does);

 private:
  FileDescriptor file_;
};

}  // namespace marrow
