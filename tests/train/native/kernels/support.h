// Shared by the tests of the kernels: the levels, and buffers as the kernels want them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/train/native/kernels/kernels.h"

namespace marrow::train::native {

// Memory that begins where streaming stores may.
template <class T>
struct VectorAligned {
  using value_type = T;
  VectorAligned() = default;
  template <class U>
  VectorAligned(const VectorAligned<U>&) {}
  T* allocate(size_t n) { return std::allocator<Line>().allocate(lines(n))->of; }
  void deallocate(T* p, size_t n) { std::allocator<Line>().deallocate(reinterpret_cast<Line*>(p), lines(n)); }
  bool operator==(const VectorAligned&) const { return true; }

 private:
  struct alignas(64) Line {
    T of[64 / sizeof(T)];
  };
  static size_t lines(size_t n) { return (n * sizeof(T) + sizeof(Line) - 1) / sizeof(Line); }
};
using Floats = std::vector<float, VectorAligned<float>>;

inline Floats normals(int64_t count, std::string_view stream, double deviation = 1) {
  Random random(1, stream);
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(deviation * random.normal());
  return values;
}

// The element at an index that is computed in 64 bits.
template <class Buffer>
auto& at(Buffer& buffer, int64_t index) {
  return buffer.at(static_cast<size_t>(index));
}

// Runs check(kernels) at every level of this processor.
template <class Check>
void at_every_level(const Check& check) {
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    SCOPED_TRACE(cpu::simd_name(level));
    check(kernels_of(level));
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace marrow::train::native
