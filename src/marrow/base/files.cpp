#include "marrow/base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/random_access_file.h"

namespace marrow {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view doing, int error_number) {
  throw Error(ErrorKind::kFile,
              fmt::format("{}: cannot {}: {}", path.string(), doing, std::strerror(error_number)));
}

// Of a regular file that was opened for reading. O_NONBLOCK, so that a pipe without a writer is refused, not
// waited for.
size_t size_of_regular(const std::filesystem::path& path, const FileDescriptor& file) {
  if (!file.is_open()) fail(path, "open", errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, "read", errno);
  if (S_ISDIR(status.st_mode))
    throw Error(ErrorKind::kFile, fmt::format("{}: is a folder, expected a file", path.string()));
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::kFile, fmt::format("{}: is not a regular file", path.string()));
  return static_cast<size_t>(status.st_size);
}

constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(path, "write", written < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

constexpr mode_t kMode = 0666;
constexpr const char* kOpenFiles = "/proc/self/fd";

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

// The result of `make` for the first hidden name beside `path` that is free, which is then `name`. A killed
// process may have left one, and one in another container may have the same number.
template <class Make>
int with_free_name(const std::filesystem::path& path, std::filesystem::path& name, const Make& make) {
  static std::atomic<unsigned> serial{0};
  for (;;) {
    std::filesystem::path wanted =
        folder_of(path) /
        fmt::format(".{}.{}-{}.tmp", path.filename().string().substr(0, 100), ::getpid(), serial++);
    const int made = make(wanted.c_str());
    if (made < 0 && errno == EEXIST) continue;
    if (made >= 0) name = std::move(wanted);
    return made;
  }
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const FileDescriptor file(::open(path.c_str(), kReadFlags));
  const size_t size = size_of_regular(path, file);
  if (size == 0) return;
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) fail(path, "map", errno);
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

std::string read_file(const std::filesystem::path& path, size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), kReadFlags));
  const size_t size = size_of_regular(path, file);
  if (size > max_bytes)
    throw Error(ErrorKind::kFile,
                fmt::format("{}: {} bytes; at most {} are read here", path.string(), size, max_bytes));
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::read(file.get(), content.data() + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "read", errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  content.resize(done);
  return content;
}

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  if (path.filename().empty() || std::filesystem::is_directory(path))
    throw Error(ErrorKind::kFile, fmt::format("{}: is a folder, expected a file name", path.string()));
  if (::access(kOpenFiles, X_OK) == 0)
    file_ = FileDescriptor(::open(folder_of(path).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, kMode));
  if (!file_.is_open())
    file_ = FileDescriptor(with_free_name(path, name_, [](const char* name) {
      return ::open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
    }));
  if (!file_.is_open()) fail(path, "write", errno);
}

AtomicFile::~AtomicFile() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write_all(file_.get(), bytes, path_);
}

void AtomicFile::commit() {
  if (::fsync(file_.get()) != 0) fail(path_, "sync", errno);
  // A name can be given, but not taken from another file: it is, in one step, by renaming.
  const std::string open_file = fmt::format("{}/{}", kOpenFiles, file_.get());
  const auto give_name = [&](const char* name) {
    return ::linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW);
  };
  if (name_.empty() && with_free_name(path_, name_, give_name) < 0) fail(path_, "write", errno);
  if (::close(file_.release()) != 0) fail(path_, "write", errno);
  if (::rename(name_.c_str(), path_.c_str()) != 0) fail(path_, "rename into place", errno);
  name_.clear();
  // Makes the rename itself durable. Some network file systems refuse to sync a folder; the file is in place
  // all the same.
  const FileDescriptor folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.is_open()) ::fsync(folder.get());
}

void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> parts) {
  AtomicFile file(path);
  for (const std::span<const std::byte> part : parts) file.write(part);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::span<const std::byte> part = std::as_bytes(std::span(content));
  write_file_atomically(path, std::span(&part, 1));
}

RandomAccessFile::RandomAccessFile(const std::filesystem::path& path)
    : path_(path), file_(::open(path.c_str(), kReadFlags)), size_(size_of_regular(path, file_)) {}

void RandomAccessFile::read(uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t count = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, fmt::format("read at byte {}", offset), errno);
    if (count == 0)
      throw Error(ErrorKind::kFile, fmt::format("{}: ends at byte {}, and {} more are wanted there; cut off?",
                                                path_.string(), offset, into.size()));
    into = into.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void RandomAccessFile::expect_sequential() const {
  ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

}  // namespace marrow
