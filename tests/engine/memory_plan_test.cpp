#include "marrow/engine/compile/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/base/random.h"

namespace marrow::engine {
namespace {

bool live_together(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

TEST(MemoryPlan, BuffersThatLiveTogetherNeverOverlap) {
  Random random(3, "plan");
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> buffers;
    for (int i = 0; i < 60; ++i) {
      const int first = static_cast<int>(random.below(40));
      buffers.push_back(
          {static_cast<int64_t>(random.below(1000)) + 1, first, first + static_cast<int>(random.below(10))});
    }
    const MemoryPlan plan = plan_memory(buffers, 16);
    int64_t largest_live = 0;
    for (int t = 0; t < 50; ++t) {
      int64_t live = 0;
      for (const Lifetime& b : buffers)
        if (b.first <= t && t <= b.last) live += b.size;
      largest_live = std::max(largest_live, live);
    }
    EXPECT_GE(plan.size, largest_live);
    EXPECT_LT(plan.size, largest_live * 3 / 2 + 60 * 16);
    for (size_t i = 0; i < buffers.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % 16, 0);
      EXPECT_LE(plan.offsets[i] + buffers[i].size, plan.size);
      for (size_t j = 0; j < i; ++j) {
        const bool apart = plan.offsets[i] + buffers[i].size <= plan.offsets[j] ||
                           plan.offsets[j] + buffers[j].size <= plan.offsets[i];
        EXPECT_TRUE(apart || !live_together(buffers[i], buffers[j]));
      }
    }
  }
}

TEST(MemoryPlan, AChainNeedsTwoBuffers) {
  const std::vector<Lifetime> chain = {{64, 0, 1}, {64, 1, 2}, {64, 2, 3}, {64, 3, 4}};
  EXPECT_EQ(plan_memory(chain, 16).size, 128);
}

}  // namespace
}  // namespace marrow::engine
