#include "marrow/engine/compile/places.h"

#include <algorithm>
#include <limits>

#include "marrow/engine/compile/memory_plan.h"

namespace marrow::engine {
namespace {

constexpr int64_t kAlignmentFloats = 16;  // 64 bytes

size_t index(Value value) {
  return static_cast<size_t>(value.id);
}

}  // namespace

int64_t aligned_floats(int64_t floats) {
  return (floats + kAlignmentFloats - 1) / kAlignmentFloats * kAlignmentFloats;
}

Places::Places(const Lowered& lowered, int lanes) : lowered_(lowered), lanes_(lanes) {
  std::vector<Lifetime> lifetimes(lowered.placements.size(),
                                  Lifetime{0, std::numeric_limits<int>::max(), -1});
  for (size_t t = 0; t < lowered.ops.size(); ++t) {
    const auto touch = [&](Value value) {
      Lifetime& life = lifetimes[index(lowered.placements[index(value)].root)];
      life.first = std::min(life.first, static_cast<int>(t));
      life.last = std::max(life.last, static_cast<int>(t));
    };
    for_each_read(lowered.ops[t], touch);
    touch(lowered.ops[t].output);
  }
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Value value{static_cast<int>(i)};
    if (lifetimes[i].last < 0 || lowered.tensors[i] >= 0 || value == kInput) continue;
    const View view = unplaced(value);
    const int64_t bytes = view.images * view.image_stride * element_bytes(view.element);
    lifetimes[i].size = aligned_floats((bytes + 3) / 4);
  }
  MemoryPlan plan = plan_memory(lifetimes, kAlignmentFloats);
  offsets_ = std::move(plan.offsets);
  arena_floats_ = plan.size;
}

View Places::unplaced(Value value) const {
  const Shape& s = lowered_.shapes[index(value)];
  View view;
  view.element = lowered_.storage[index(value)].element;
  view.scale = lowered_.storage[index(value)].scale;
  view.images = s[0];
  view.channels = static_cast<int>(s[1]);
  if (is_planar(s)) {
    view.layout = Layout::kPlanar;
    view.width = s.size() == 3 ? s[2] : 1;
  } else {
    view.height = s[2];
    view.width = s[3];
  }
  view.image_stride = view.image_floats(lanes_);
  return view;
}

View Places::view(Value value) const {
  View view = unplaced(value);
  const Placement& placement = lowered_.placements[index(value)];
  const int tensor = lowered_.tensors[index(placement.root)];
  if (value == kInput || tensor >= 0) {
    view.layout = Layout::kPlanar;
    view.image_stride = view.image_floats(lanes_);
    view.buffer = value == kInput ? Buffer{Buffer::Where::kInput} : Buffer{Buffer::Where::kOutput, tensor};
    return view;
  }
  view.buffer.offset = offsets_[index(placement.root)] * dword_channels(view.element) +
                       placement.block * view.block_floats(lanes_);
  view.image_stride = unplaced(placement.root).image_stride;
  return view;
}

std::vector<View> Places::views(std::span<const Value> values) const {
  std::vector<View> result;
  for (const Value value : values) result.push_back(view(value));
  return result;
}

}  // namespace marrow::engine
