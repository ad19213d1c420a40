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

namespace marrow {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view doing, int error_number) {
  throw Error(ErrorKind::kFile,
              fmt::format("{}: cannot {}: {}", path.string(), doing, std::strerror(error_number)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Opens a regular file for reading and returns its size. O_NONBLOCK, so that a pipe without a writer is
// refused, not waited for.
size_t open_regular(const std::filesystem::path& path, Descriptor& file) {
  if (file.get() < 0) fail(path, "open", errno);
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

// Removes the temporary file unless it was renamed into place.
class TemporaryName {
 public:
  explicit TemporaryName(std::filesystem::path path) : path_(std::move(path)) {}
  ~TemporaryName() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  Descriptor file(::open(path.c_str(), kReadFlags));
  const size_t size = open_regular(path, file);
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
  Descriptor file(::open(path.c_str(), kReadFlags));
  const size_t size = open_regular(path, file);
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

void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> parts) {
  if (path.filename().empty() || std::filesystem::is_directory(path))
    throw Error(ErrorKind::kFile, fmt::format("{}: is a folder, expected a file name", path.string()));
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";

  static std::atomic<unsigned> serial{0};
  const std::filesystem::path temporary_path =
      folder / fmt::format(".{}.{}-{}.tmp", path.filename().string().substr(0, 100), ::getpid(), serial++);
  Descriptor file(::open(temporary_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) fail(path, "write", errno);
  TemporaryName temporary(temporary_path);

  for (const std::span<const std::byte> part : parts) write_all(file.get(), part, path);
  if (::fsync(file.get()) != 0) fail(path, "sync", errno);
  if (::close(file.release()) != 0) fail(path, "write", errno);
  if (::rename(temporary.path().c_str(), path.c_str()) != 0) fail(path, "rename into place", errno);
  temporary.keep();

  // Makes the rename itself durable. Some network file systems refuse to sync a folder; the file is in place
  // all the same.
  Descriptor folder_file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder_file.get() >= 0) ::fsync(folder_file.get());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::span<const std::byte> part = std::as_bytes(std::span(content));
  write_file_atomically(path, std::span(&part, 1));
}

}  // namespace marrow
