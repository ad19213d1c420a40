#include "marrow/engine/compile/lowering.h"

#include <algorithm>
#include <optional>

#include "marrow/engine/compile/channel_moves.h"

namespace marrow::engine {
namespace {

Stage stage_of(const Activation& activation, const Weights& weights) {
  float parameter = static_cast<float>(activation.slope);
  if (const auto named = weights.find(activation.slope_name); named != weights.end())
    parameter = named->second.to_float().values()[0];
  return {static_cast<int>(activation.kind), parameter};
}

class Lowering {
 public:
  Lowering(const Graph& graph, const Weights& weights, std::span<const Shape> shapes, int lanes)
      : graph_(graph), weights_(weights), lanes_(lanes), readers_(graph.nodes.size()) {
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      for (const Value input : graph.nodes[i].inputs) readers_[index(input)].push_back(static_cast<int>(i));
    for (const NamedValue& output : graph.outputs) readers_[index(output.value)].push_back(-1);
    for (const Shape& shape : shapes) result_.add_value(shape);
    result_.packed_input = result_.add_value(shapes[0]);
  }

  Lowered run() {
    fuse();
    add_outputs();
    pack_input();
    dissolve_channel_moves(graph_, lanes_, result_);
    view_slices();
    place_concats();
    for (Placement& placement : result_.placements) placement = resolve(placement);
    return std::move(result_);
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  const Operation& operation(Value value) const { return graph_.node(value).operation; }
  template <class Op>
  bool holds(const LoweredOp& op) const {
    return op.kind == LoweredOp::Kind::kNode && std::holds_alternative<Op>(operation(op.node));
  }

  // The one node that reads `value`, when nothing else does.
  std::optional<Value> sole_reader(Value value) const {
    const auto& readers = readers_[index(value)];
    if (readers.size() != 1 || readers[0] < 0) return std::nullopt;
    return Value{readers[0]};
  }

  // The activation that a node is, as a stage.
  std::optional<Stage> as_stage(const Operation& operation) const {
    if (const auto* activation = std::get_if<Activation>(&operation)) return stage_of(*activation, weights_);
    if (const auto* dropout = std::get_if<Dropout>(&operation))
      return dropout->downscale_in_inference ? Stage{kScale, static_cast<float>(1 - dropout->rate)} : Stage{};
    if (std::holds_alternative<DropPath>(operation)) return Stage{};
    return std::nullopt;
  }

  bool is_gate(Value node) const {
    const auto& inputs = graph_.node(node).inputs;
    return result_.shapes[index(inputs[0])] != result_.shapes[index(inputs[1])];
  }
  // An addition or multiplication of equal shapes.
  std::optional<Epilogue::Join> as_join(Value node) const {
    if (std::holds_alternative<Add>(operation(node))) return Epilogue::Join::kAdd;
    if (std::holds_alternative<Multiply>(operation(node)) && !is_gate(node)) return Epilogue::Join::kMultiply;
    return std::nullopt;
  }

  void fuse() {
    std::vector<bool> absorbed(graph_.nodes.size(), false);
    for (int i = 0; i < static_cast<int>(graph_.nodes.size()); ++i) {
      const Value node{i};
      if (absorbed[index(node)] || std::holds_alternative<Input>(operation(node))) continue;
      result_.ops.push_back(fuse_from(node, absorbed));
    }
    // An operation runs where its last part stood, when everything that it joins is there.
    std::ranges::stable_sort(result_.ops, {}, [](const LoweredOp& op) { return op.output.id; });
  }

  LoweredOp fuse_from(Value node, std::vector<bool>& absorbed) const {
    LoweredOp op{.node = node, .inputs = graph_.node(node).inputs, .output = node};
    const Operation& main = operation(node);
    // Which of the epilogue's places is the next that may be filled.
    enum Place { kBefore, kJoin, kAfter, kFull };
    Place place = kFull;
    if (std::holds_alternative<Conv>(main) || std::holds_alternative<Linear>(main)) {
      place = kBefore;
    } else if (const auto stage = as_stage(main)) {
      op.before = *stage;
      place = kJoin;
    } else if (const auto join = as_join(node)) {
      op.join = *join;
      op.other = op.inputs[1];
      op.inputs.resize(1);
      place = kAfter;
    } else if (std::holds_alternative<BatchNorm>(main) || std::holds_alternative<Multiply>(main)) {
      place = kAfter;  // an affine map, or a gate
    }

    for (auto next = sole_reader(op.output); next && !absorbed[index(*next)]; next = sole_reader(op.output)) {
      const auto stage = as_stage(operation(*next));
      const auto join = as_join(*next);
      if (stage && place == kBefore) {
        op.before = *stage;
        place = kJoin;
      } else if (stage && place == kAfter) {
        op.after = *stage;
        place = kFull;
      } else if (join && place <= kJoin) {
        const auto& sides = graph_.node(*next).inputs;
        op.join = *join;
        op.other = sides[0] == op.output ? sides[1] : sides[0];
        place = kAfter;
      } else {
        break;
      }
      absorbed[index(*next)] = true;
      op.output = *next;
    }
    return op;
  }

  void add_outputs() {
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      LoweredOp op{.kind = LoweredOp::Kind::kOutput};
      op.inputs = {graph_.outputs[i].value};
      op.output_index = static_cast<int>(i);
      result_.ops.push_back(op);
    }
  }

  // Dense convolutions read the planar input itself; everything else reads it packed.
  void pack_input() {
    const auto is_input = [&](Value value) {
      return value.id >= 0 && index(value) < graph_.nodes.size() &&
             std::holds_alternative<Input>(operation(value));
    };
    bool wanted = false;
    Value input;
    for (LoweredOp& op : result_.ops) {
      const bool reads_planar = holds<Conv>(op) && std::get<Conv>(operation(op.node)).groups == 1;
      const auto redirect = [&](Value& value) {
        if (!is_input(value)) return;
        wanted = true;
        input = value;
        value = result_.packed_input;
      };
      if (!reads_planar) std::ranges::for_each(op.inputs, redirect);
      redirect(op.other);
    }
    if (!wanted) return;
    LoweredOp pack{.kind = LoweredOp::Kind::kPack};
    pack.inputs = {input};
    pack.output = result_.packed_input;
    result_.ops.insert(result_.ops.begin(), pack);
  }

  const Placement& placement(Value value) const { return result_.placements[index(value)]; }
  Placement resolve(Placement at) const {
    while (placement(at.root).root != at.root) {
      at.block += placement(at.root).block;
      at.root = placement(at.root).root;
    }
    return at;
  }
  int channels(Value value) const { return static_cast<int>(result_.shapes[index(value)].at(1)); }

  // What slices are left begin at a block's first lane.
  void view_slices() {
    std::erase_if(result_.ops, [&](const LoweredOp& op) {
      if (!holds<Slice>(op)) return false;
      result_.placements[index(op.output)] = {op.inputs[0],
                                              std::get<Slice>(operation(op.node)).begin / lanes_};
      return true;
    });
  }

  void place_concats() {
    std::vector<LoweredOp> ops;
    for (const LoweredOp& op : result_.ops)
      if (holds<Concat>(op))
        place_concat(op, ops);
      else
        ops.push_back(op);
    result_.ops = std::move(ops);
  }

  // Gives each input a place in the concatenation's storage, so that it is written there. Inputs that do not
  // begin at a block, or that have a place already, are copied: a run of such inputs is one operation.
  void place_concat(const LoweredOp& concat, std::vector<LoweredOp>& ops) {
    int offset = 0;
    bool copying = false;
    for (size_t i = 0; i < concat.inputs.size();) {
      const Value root = resolve({concat.inputs[i], 0}).root;
      const size_t end = whole_from(concat, i, root);
      if (end > i && root != concat.output && offset % lanes_ == 0) {
        result_.placements[index(root)] = {concat.output, offset / lanes_};
        offset += channels(root);
        i = end;
        copying = false;
        continue;
      }
      if (!copying) {
        ops.push_back({.kind = LoweredOp::Kind::kGather, .node = concat.node, .output = concat.output});
        ops.back().first_channel = offset;
        copying = true;
      }
      const int map = static_cast<int>(ops.back().inputs.size());
      for (int c = 0; c < channels(concat.inputs[i]); ++c) ops.back().channels.push_back({map, c});
      ops.back().inputs.push_back(concat.inputs[i]);
      offset += channels(concat.inputs[i]);
      ++i;
    }
  }

  // When inputs [i, end) are, in order, all the channels of `root` (itself, or slices of it): end. Otherwise
  // i.
  size_t whole_from(const LoweredOp& op, size_t i, Value root) const {
    int covered = 0;
    for (size_t k = i; k < op.inputs.size(); ++k) {
      const Placement part = resolve({op.inputs[k], 0});
      if (part.root != root || part.block * lanes_ != covered) return i;
      covered += channels(op.inputs[k]);
      if (covered == channels(root)) return k + 1;
    }
    return i;
  }

  const Graph& graph_;
  const Weights& weights_;
  int lanes_;
  std::vector<std::vector<int>> readers_;  // of each value; -1 an output
  Lowered result_;
};

}  // namespace

Lowered lower(const Graph& graph, const Weights& weights, std::span<const Shape> shapes, int lanes) {
  return Lowering(graph, weights, shapes, lanes).run();
}

}  // namespace marrow::engine
