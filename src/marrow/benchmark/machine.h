// The processor that a benchmark ran on, so that a figure never stands without it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "marrow/cpu/simd_level.h"

namespace marrow::benchmark {

struct Machine {
  std::string cpu;  // processor_name()
  int cores = 1;    // that this process may use
  cpu::SimdLevel simd = cpu::SimdLevel::kPlain;
  std::array<int64_t, 3> cache_bytes = {};  // data caches by level, see cpu/caches.h
};

Machine this_machine();

// What one thread's multiply-add units can do at a SIMD level, in GFLOP/s (two a multiply-add): the engine's
// own register tile over data in the first-level cache, the best of some tries; about 20 ms.
double peak_gflops(cpu::SimdLevel level);

// The most memory this process has held so far, in bytes; 0 where the system does not say.
int64_t peak_memory_bytes();

}  // namespace marrow::benchmark
