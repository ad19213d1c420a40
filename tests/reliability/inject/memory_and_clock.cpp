// Allocations and the clock of the wall. The steady clock is left alone: it does not step.
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include "plan.h"

using marrow::faults::clock_error_seconds;
using marrow::faults::strikes_memory;

extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) noexcept {
  if (!strikes_memory(bytes)) return __libc_malloc(bytes);
  errno = ENOMEM;
  return nullptr;
}
void* calloc(size_t count, size_t size) noexcept {
  if (!strikes_memory(count * size)) return __libc_calloc(count, size);
  errno = ENOMEM;
  return nullptr;
}
void* realloc(void* memory, size_t bytes) noexcept {
  if (!strikes_memory(bytes)) return __libc_realloc(memory, bytes);
  errno = ENOMEM;
  return nullptr;
}
void* memalign(size_t alignment, size_t bytes) noexcept {
  if (!strikes_memory(bytes)) return __libc_memalign(alignment, bytes);
  errno = ENOMEM;
  return nullptr;
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return memalign(alignment, bytes);
}
int posix_memalign(void** to, size_t alignment, size_t bytes) noexcept {
  void* memory = memalign(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *to = memory;
  return 0;
}

int clock_gettime(clockid_t clock, timespec* to) noexcept {
  const auto code = static_cast<int>(syscall(SYS_clock_gettime, clock, to));
  if (clock == CLOCK_REALTIME) to->tv_sec += clock_error_seconds();
  return code;
}
int gettimeofday(timeval* to, void*) noexcept {
  timespec now{};
  const int code = clock_gettime(CLOCK_REALTIME, &now);
  *to = {now.tv_sec, now.tv_nsec / 1000};
  return code;
}
time_t time(time_t* to) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != nullptr) *to = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
