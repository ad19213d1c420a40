#include "marrow/engine/compile/in_place.h"

namespace marrow::engine {
namespace {

class InPlace {
 public:
  explicit InPlace(Lowered& lowered) : lowered_(lowered), last_(lowered.placements.size(), 0) {
    for (size_t i = 0; i < lowered.ops.size(); ++i) {
      const auto touch = [&](Value value) { last_[index(lowered.root(value))] = i; };
      for_each_read(lowered.ops[i], touch);
      touch(lowered.ops[i].output);
    }
  }

  void run() {
    for (size_t i = 0; i < lowered_.ops.size(); ++i) {
      const LoweredOp& op = lowered_.ops[i];
      if (!std::holds_alternative<lowered::Gate>(op.operation)) continue;
      const Value src = op.inputs[0], dst = op.output;
      if (last_[index(src)] != i || lowered_.root(op.inputs[1]) == src || !is_whole(src) || !is_whole(dst))
        continue;
      for (Placement& placement : lowered_.placements)
        if (placement.root == dst) placement.root = src;
      last_[index(src)] = last_[index(dst)];
    }
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  // With storage of its own.
  bool is_whole(Value value) const { return lowered_.root(value) == value && lowered_.is_float32_map(value); }

  Lowered& lowered_;
  std::vector<size_t> last_;  // operation that touches a root's storage
};

}  // namespace

void gate_in_place(Lowered& lowered) {
  InPlace(lowered).run();
}

}  // namespace marrow::engine
