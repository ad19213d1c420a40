// The calls of the C library that touch files, each with the fault that is due, or else as they are.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "plan.h"

using marrow::faults::Strike;
using marrow::faults::strike;

namespace {

// The function of this name in the library behind this one.
template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

void cut(int file) {
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (truncate(path.c_str(), 0) != 0) std::abort();
}

}  // namespace

// What the plan does to `call`; FAILED is what it returns then.
#define FAIL_IF_DUE(call, where, failed) \
  if (strike(call, where) == Strike::kFail) return failed
#define NEXT(name) static const auto real = next<decltype(name)>(#name)

extern "C" {

#define OPEN(name)                                 \
  int name(const char* path, int flags, ...) {     \
    NEXT(name);                                    \
    va_list arguments;                             \
    va_start(arguments, flags);                    \
    const mode_t mode = mode_of(flags, arguments); \
    va_end(arguments);                             \
    FAIL_IF_DUE("open", path, -1);                 \
    return real(path, flags, mode);                \
  }
#define OPEN_AT(name)                                      \
  int name(int folder, const char* path, int flags, ...) { \
    NEXT(name);                                            \
    va_list arguments;                                     \
    va_start(arguments, flags);                            \
    const mode_t mode = mode_of(flags, arguments);         \
    va_end(arguments);                                     \
    FAIL_IF_DUE("open", path, -1);                         \
    return real(folder, path, flags, mode);                \
  }
OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)

#define FOPEN(name)                                \
  FILE* name(const char* path, const char* mode) { \
    NEXT(name);                                    \
    FAIL_IF_DUE("open", path, nullptr);            \
    return real(path, mode);                       \
  }
FOPEN(fopen)
FOPEN(fopen64)

DIR* opendir(const char* path) {
  NEXT(opendir);
  FAIL_IF_DUE("list", path, nullptr);
  return real(path);
}

ssize_t read(int file, void* to, size_t count) {
  NEXT(read);
  const Strike due = count == 0 ? Strike::kNone : strike("read", file);
  if (due == Strike::kFail) return -1;
  return real(file, to, due == Strike::kShort ? std::max<size_t>(count / 2, 1) : count);
}
ssize_t write(int file, const void* from, size_t count) {
  NEXT(write);
  const Strike due = count == 0 ? Strike::kNone : strike("write", file);
  if (due == Strike::kFail) return -1;
  return real(file, from, due == Strike::kShort ? std::max<size_t>(count / 2, 1) : count);
}
ssize_t writev(int file, const iovec* parts, int count) {
  NEXT(writev);
  const Strike due = strike("write", file);
  if (due == Strike::kFail) return -1;
  return real(file, parts, due == Strike::kShort ? 1 : count);
}
#define PREAD(name, Offset)                                                                        \
  ssize_t name(int file, void* to, size_t count, Offset offset) {                                  \
    NEXT(name);                                                                                    \
    const Strike due = count == 0 ? Strike::kNone : strike("read", file);                          \
    if (due == Strike::kFail) return -1;                                                           \
    return real(file, to, due == Strike::kShort ? std::max<size_t>(count / 2, 1) : count, offset); \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

// The library's own writes behind a stream are not to be seen from here: a failing one is a stream that
// fails.
size_t fwrite(const void* from, size_t size, size_t count, FILE* file) {
  NEXT(fwrite);
  FAIL_IF_DUE("write", fileno(file), 0);
  return real(from, size, count, file);
}
int fflush(FILE* file) {
  NEXT(fflush);
  if (file != nullptr) FAIL_IF_DUE("write", fileno(file), EOF);
  return real(file);
}
int fclose(FILE* file) {
  NEXT(fclose);
  const Strike due = strike("close", fileno(file));
  const int error = errno;
  const int closed = real(file);
  if (due != Strike::kFail) return closed;
  errno = error;
  return EOF;
}

int fsync(int file) {
  NEXT(fsync);
  FAIL_IF_DUE("sync", file, -1);
  return real(file);
}
int close(int file) {
  NEXT(close);
  const Strike due = strike("close", file);
  const int error = errno;
  const int closed = real(file);  // Linux gives the number back in any case
  if (due != Strike::kFail) return closed;
  errno = error;
  return -1;
}

int rename(const char* from, const char* to) {
  NEXT(rename);
  FAIL_IF_DUE("rename", to, -1);
  return real(from, to);
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  NEXT(linkat);
  FAIL_IF_DUE("rename", to, -1);
  return real(from_folder, from, to_folder, to, flags);
}
int unlink(const char* path) {
  NEXT(unlink);
  FAIL_IF_DUE("remove", path, -1);
  return real(path);
}
int mkdir(const char* path, mode_t mode) {
  NEXT(mkdir);
  FAIL_IF_DUE("make", path, -1);
  return real(path, mode);
}

// Short: the file is cut behind the mapping, whose pages are then no memory.
#define MAP(name, Offset)                                                                 \
  void* name(void* at, size_t size, int protection, int flags, int file, Offset offset) { \
    NEXT(name);                                                                           \
    const Strike due = file >= 0 ? strike("map", file) : Strike::kNone;                   \
    if (due == Strike::kFail) return MAP_FAILED;                                          \
    void* const mapped = real(at, size, protection, flags, file, offset);                 \
    if (due == Strike::kShort) cut(file);                                                 \
    return mapped;                                                                        \
  }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

#define STAT(name, Status)                          \
  int name(const char* path, Status* to) noexcept { \
    NEXT(name);                                     \
    FAIL_IF_DUE("stat", path, -1);                  \
    return real(path, to);                          \
  }
STAT(stat, struct stat)
STAT(stat64, struct stat64)
STAT(lstat, struct stat)
STAT(lstat64, struct stat64)
#define FSTAT(name, Status)                 \
  int name(int file, Status* to) noexcept { \
    NEXT(name);                             \
    FAIL_IF_DUE("stat", file, -1);          \
    return real(file, to);                  \
  }
FSTAT(fstat, struct stat)
FSTAT(fstat64, struct stat64)

// What a program that is compiled with _FORTIFY_SOURCE calls in their place.
int __open_2(const char* path, int flags) {
  return open(path, flags);
}
int __open64_2(const char* path, int flags) {
  return open64(path, flags);
}
ssize_t __read_chk(int file, void* to, size_t count, size_t room) {
  if (count > room) std::abort();
  return read(file, to, count);
}
ssize_t __pread_chk(int file, void* to, size_t count, off_t offset, size_t room) {
  if (count > room) std::abort();
  return pread(file, to, count, offset);
}
ssize_t __pread64_chk(int file, void* to, size_t count, off64_t offset, size_t room) {
  if (count > room) std::abort();
  return pread64(file, to, count, offset);
}

}  // extern "C"
