// Places buffers that live at different times on the same memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace marrow::engine {

struct Lifetime {
  int64_t size = 0;  // any unit
  int first = 0;     // the step that first writes it
  int last = 0;  // the last step that reads or writes it; it may share no memory with what that step writes
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // by buffer, multiples of `alignment`
  int64_t size = 0;
};

// Largest first, each at the lowest place that is free during its life (Pisarchyk and Lee 2020, greedy by
// size).
MemoryPlan plan_memory(std::span<const Lifetime> buffers, int64_t alignment);

}  // namespace marrow::engine
