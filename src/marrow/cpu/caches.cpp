#include "marrow/cpu/caches.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace marrow::cpu {
namespace {

constexpr int kCacheLevels = 3;
struct CacheBounds {
  int64_t least, usual, most;  // what is reported outside the bounds is no cache's size
};
constexpr std::array<CacheBounds, kCacheLevels> kBounds = {{{4 << 10, 32 << 10, 4 << 20},
                                                            {64 << 10, 512 << 10, 256 << 20},
                                                            {256 << 10, 8 << 20, int64_t{16} << 30}}};

int64_t reported_by_system(int level) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  constexpr std::array kNames = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
  return sysconf(kNames[static_cast<size_t>(level - 1)]);
#else
  static_cast<void>(level);
  return 0;
#endif
}

// Intel's leaf 4 and AMD's leaf 0x8000001D have one form: a cache a subleaf.
int64_t reported_by_processor(int level) {
#if defined(__x86_64__)
  constexpr unsigned kNone = 0, kInstructions = 2;
  constexpr unsigned kMostCaches = 16;
  for (const unsigned leaf : {0x4u, 0x8000001Du})
    for (unsigned i = 0; i < kMostCaches; ++i) {
      unsigned a = 0, b = 0, c = 0, d = 0;
      if (__get_cpuid_count(leaf, i, &a, &b, &c, &d) == 0 || (a & 31) == kNone) break;
      if ((a & 31) == kInstructions || static_cast<int>(a >> 5 & 7) != level) continue;
      const int64_t ways = (b >> 22) + 1, partitions = (b >> 12 & 1023) + 1, line = (b & 4095) + 1;
      return ways * partitions * line * (int64_t{c} + 1);
    }
#else
  static_cast<void>(level);
#endif
  return 0;
}

int64_t find_cache_bytes(int level) {
  const CacheBounds& bounds = kBounds[static_cast<size_t>(level - 1)];
  for (const int64_t bytes : {reported_by_processor(level), reported_by_system(level)})
    if (bytes >= bounds.least && bytes <= bounds.most) return bytes;
  return bounds.usual;
}

}  // namespace

int64_t cache_bytes(int level) {
  assert(level >= 1 && level <= kCacheLevels);
  static const std::array<int64_t, kCacheLevels> bytes = {find_cache_bytes(1), find_cache_bytes(2),
                                                          find_cache_bytes(3)};
  return bytes[static_cast<size_t>(level - 1)];
}

}  // namespace marrow::cpu
