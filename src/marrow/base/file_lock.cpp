#include "marrow/base/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>

#include "marrow/base/error.h"

namespace marrow {

FileLock::FileLock(const std::filesystem::path& path, std::string_view does) {
  file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_.is_open()) file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!file_.is_open() || ::flock(file_.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  throw Error(ErrorKind::kUsage, fmt::format("{}: another process {}", path.string(), does));
}

}  // namespace marrow
