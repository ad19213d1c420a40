#include "marrow/cpu/caches.h"

#include <gtest/gtest.h>

namespace marrow::cpu {
namespace {

TEST(Caches, SizesGrowFromLevelToLevelAndStay) {
  EXPECT_GE(cache_bytes(1), 4 << 10);
  EXPECT_LE(cache_bytes(1), cache_bytes(2));
  EXPECT_GE(cache_bytes(2), 64 << 10);
  EXPECT_GE(cache_bytes(3), 256 << 10);
  for (const int level : {1, 2, 3}) EXPECT_EQ(cache_bytes(level), cache_bytes(level));
}

}  // namespace
}  // namespace marrow::cpu
