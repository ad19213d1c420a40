#include "marrow/engine/compile/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace marrow::engine {

MemoryPlan plan_memory(std::span<const Lifetime> buffers, int64_t alignment) {
  MemoryPlan plan;
  plan.offsets.resize(buffers.size(), 0);
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return buffers[i].size; });

  std::vector<size_t> placed;  // by offset
  for (const size_t i : order) {
    const Lifetime& buffer = buffers[i];
    int64_t offset = 0;
    for (const size_t j : placed) {
      if (buffers[j].last < buffer.first || buffer.last < buffers[j].first) continue;
      if (plan.offsets[j] >= offset + buffer.size) break;
      const int64_t end = plan.offsets[j] + buffers[j].size;
      offset = std::max(offset, (end + alignment - 1) / alignment * alignment);
    }
    plan.offsets[i] = offset;
    plan.size = std::max(plan.size, offset + buffer.size);
    placed.insert(std::ranges::upper_bound(placed, offset, {}, [&](size_t j) { return plan.offsets[j]; }), i);
  }
  return plan;
}

}  // namespace marrow::engine
