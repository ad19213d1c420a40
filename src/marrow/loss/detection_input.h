// What the detection loss reads and writes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "marrow/base/tensor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/loss/map_view.h"
#include "marrow/loss/whole_batch.h"

namespace marrow::loss {

// A level's maps, or their gradients. The two may lie in one buffer.
template <class T>
struct LevelMaps {
  MapView<T> sides;    // 4 * reg_max channels: left, top, right, bottom, in cells
  MapView<T> classes;  // logits
};

// T is float or double.
template <class T>
struct DetectionLossInput {
  std::span<const LevelMaps<const T>> maps;  // one a level
  // (T, 6) float32, an object a row, in any order: image, class, cx, cy, w, h as fractions of the input.
  Tensor targets;
  // (R, 5) float32: image, cx, cy, w, h of regions to ignore. An anchor that lies strictly inside one, as the
  // assigner wants it of boxes, and belongs to no object has no part in the class loss. Undefined: none.
  Tensor ignored = {};
  // Shaped and laid out as the maps: overwritten with d(sum of the terms) * loss_scale / d(map). Lanes
  // beyond the last channel are left alone. Empty: no gradients.
  std::span<const LevelMaps<T>> gradients = {};
  double loss_scale = 1;
  cpu::ThreadPool* pool = nullptr;  // nullptr: the caller alone
  WholeBatch whole = {};
};

// Box, class, and DFL or L1.
using DetectionTerms = std::array<double, 3>;

// Calls function(chunk, thread) for every chunk, in any order.
template <class Function>
void for_each_chunk(cpu::ThreadPool* pool, int64_t chunks, const Function& function) {
  if (pool != nullptr) return pool->parallel_for(chunks, function);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) function(chunk, 0);
}

}  // namespace marrow::loss
