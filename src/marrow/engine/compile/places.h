// Where the values of a lowered graph lie in memory, as the views that steps take.
#pragma once

#include <vector>

#include "marrow/engine/compile/lowering.h"

namespace marrow::engine {

class Places {
 public:
  // Plans the arena. `lowered` is final, with its storage chosen, and outlives this; lanes: of a block.
  Places(const Lowered& lowered, int lanes);

  View view(Value value) const;
  std::vector<View> views(std::span<const Value> values) const;
  int64_t arena_floats() const { return arena_floats_; }

 private:
  View unplaced(Value value) const;

  const Lowered& lowered_;
  const int lanes_;
  std::vector<int64_t> offsets_;  // of roots, in the arena
  int64_t arena_floats_ = 0;
};

// `floats`, or as many more as begin at a multiple of 64 bytes.
int64_t aligned_floats(int64_t floats);

}  // namespace marrow::engine
