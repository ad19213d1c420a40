#include "marrow/base/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "marrow/base/error.h"

namespace marrow {

FileLock::FileLock(const std::filesystem::path& path, std::string_view does) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) file_ = ::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0 || ::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(file_);
  throw Error(ErrorKind::kUsage, fmt::format("{}: another process {}", path.string(), does));
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace marrow
