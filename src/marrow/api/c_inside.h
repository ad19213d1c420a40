// What the sources of the C API share: exceptions as statuses, and structs of other sizes than this
// library's.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "marrow/marrow.h"
#include "marrow/marrow.hpp"

namespace marrow::v0::in_c {

namespace cpp = marrow::v0;

inline constexpr size_t kLongestMessage = 4095;
inline thread_local char last_error[kLongestMessage + 1] = "";

inline marrow_status failed(marrow_status status, const char* message) noexcept {
  const size_t length = std::min(std::strlen(message), kLongestMessage);
  std::memcpy(last_error, message, length);
  last_error[length] = '\0';
  return status;
}

// function(), with what it throws as a status.
template <class Function>
marrow_status guarded(const Function& function) noexcept {
  try {
    function();
    return MARROW_OK;
  } catch (const cpp::Error& error) {
    return failed(static_cast<marrow_status>(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(MARROW_ERROR_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return failed(MARROW_ERROR_OTHER, error.what());
  } catch (...) {
    return failed(MARROW_ERROR_OTHER, "an unknown failure");
  }
}
[[noreturn]] inline void misuse(const std::string& what) {
  throw cpp::Error(cpp::ErrorKind::kUsage, what);
}

template <class T>
T& needed(T* pointer, const char* name) {
  if (pointer == nullptr) misuse(std::string(name) + " is a null pointer");
  return *pointer;
}

// *out = a new T of what make() gives; null until then.
template <class T, class Make>
marrow_status create(T** out, const char* name, const Make& make) noexcept {
  return guarded([&] {
    needed(out, name) = nullptr;
    *out = new T{make()};
  });
}

// --- Structs that may be shorter or longer than this library's

// A struct whose size is less than that of one with no member but the size, or more than any version can
// have, was never set.
inline constexpr size_t kLargestStruct = 1 << 16;

template <class Struct>
void check_struct_size(size_t size, const char* name) {
  if (size <= sizeof(size_t) || size > kLargestStruct)
    misuse(
        fmt::format("{0}: struct_size is {1}; wanted is sizeof({0}), {2} here", name, size, sizeof(Struct)));
}

// `given` on top of `defaults`.
template <class Struct>
Struct read_struct(const void* given, const char* name, Struct defaults) {
  size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  check_struct_size<Struct>(size, name);
  const auto* bytes = static_cast<const unsigned char*>(given);
  for (size_t i = sizeof(Struct); i < size; ++i)
    if (bytes[i] != 0)
      misuse(fmt::format("{}: a member is set that libmarrow {} does not know", name, MARROW_VERSION));
  std::memcpy(&defaults, given, std::min(size, sizeof(Struct)));
  return defaults;
}

// As much of `value` as the caller's struct takes; what it has more becomes 0.
template <class Struct>
void write_struct(const Struct& value, Struct* to, const char* name) {
  size_t size = 0;
  std::memcpy(&size, to, sizeof size);
  check_struct_size<Struct>(size, name);
  std::memset(static_cast<void*>(to), 0, size);
  std::memcpy(static_cast<void*>(to), &value, std::min(size, sizeof(Struct)));
  std::memcpy(static_cast<void*>(to), &size, sizeof size);
}

template <class Struct>
void init_struct(const Struct& defaults, Struct* to, size_t size) noexcept {
  if (to == nullptr || size < sizeof(size_t) || size > kLargestStruct) return;
  std::memcpy(static_cast<void*>(to), &size, sizeof size);
  (void)guarded([&] { write_struct(defaults, to, "options"); });
}

}  // namespace marrow::v0::in_c
