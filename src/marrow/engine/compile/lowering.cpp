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
    dissolve_channel_moves(lanes_, result_);
    view_slices();
    place_concats();
    for (Placement& placement : result_.placements) placement = resolve(placement);
    return std::move(result_);
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  const Operation& operation(Value value) const { return graph_.node(value).operation; }

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

  // A node by itself.
  LoweredOp alone(Value node) const {
    LoweredOp op{graph_.node(node).name, graph_.node(node).inputs, node, {}};
    const auto stage = [&]() -> LoweredOperation {
      return lowered::Elementwise{{.before = *as_stage(operation(node))}};
    };
    const auto join = [&]() -> LoweredOperation {
      const Value other = op.inputs[1];
      op.inputs.resize(1);
      return lowered::Elementwise{{.join = *as_join(node), .other = other}};
    };
    op.operation = std::visit(
        Overloaded{
            [&](const Activation&) { return stage(); },
            [&](const Dropout&) { return stage(); },
            [&](const DropPath&) { return stage(); },
            [&](const Add&) { return join(); },
            [&](const Multiply&) { return is_gate(node) ? lowered::Gate() : join(); },
            [&](const Conv& o) -> LoweredOperation { return lowered::Convolution{.conv = o, .node = node}; },
            [](const Linear& o) -> LoweredOperation {
              return lowered::LinearLayer{o, {}};
            },
            [](const BatchNorm& o) -> LoweredOperation {
              return lowered::Affine{o, {}};
            },
            [](const Input&) -> LoweredOperation { return lowered::Pack(); },
            [](const auto& o) -> LoweredOperation { return o; },
        },
        operation(node));
    return op;
  }

  // Which of the epilogue's places is the next that may be filled.
  enum Place { kBefore, kJoin, kAfter, kFull };
  static Place free_place(const LoweredOperation& operation) {
    if (std::holds_alternative<lowered::Convolution>(operation) ||
        std::holds_alternative<lowered::LinearLayer>(operation))
      return kBefore;
    if (const auto* elementwise = std::get_if<lowered::Elementwise>(&operation))
      return elementwise->epilogue.join == Epilogue::Join::kNone ? kJoin : kAfter;
    if (std::holds_alternative<lowered::Gate>(operation) ||
        std::holds_alternative<lowered::Affine>(operation))
      return kAfter;
    return kFull;
  }

  static Stage& after_of(LoweredOp& op) {
    if (auto* gate = std::get_if<lowered::Gate>(&op.operation)) return gate->after;
    if (auto* affine = std::get_if<lowered::Affine>(&op.operation)) return affine->after;
    return epilogue_of(op)->after;
  }

  LoweredOp fuse_from(Value node, std::vector<bool>& absorbed) const {
    LoweredOp op = alone(node);
    Place place = free_place(op.operation);
    for (auto next = sole_reader(op.output); next && !absorbed[index(*next)]; next = sole_reader(op.output)) {
      const auto stage = as_stage(operation(*next));
      const auto join = as_join(*next);
      if (stage && place == kBefore) {
        epilogue_of(op)->before = *stage;
        place = kJoin;
      } else if (stage && place == kAfter) {
        after_of(op) = *stage;
        place = kFull;
      } else if (join && place <= kJoin) {
        const auto& sides = graph_.node(*next).inputs;
        epilogue_of(op)->join = *join;
        epilogue_of(op)->other = sides[0] == op.output ? sides[1] : sides[0];
        place = kAfter;
      } else {
        break;
      }
      absorbed[index(*next)] = true;
      op.output = *next;
    }
    return op;
  }

  // What is planar is computed in its output tensor, when it has no other.
  void add_outputs() {
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      const auto& [name, value] = graph_.outputs[i];
      const Shape shape = result_.shapes[index(value)];
      int* tensor = &result_.tensors[index(value)];
      if (!is_planar(shape) || *tensor >= 0) {
        const Value written = result_.add_value(shape);
        result_.ops.push_back({name, {value}, written, lowered::Output()});
        tensor = &result_.tensors[index(written)];
      }
      *tensor = static_cast<int>(i);
    }
  }

  // Dense convolutions read the planar input itself; everything else reads it packed.
  void pack_input() {
    const auto is_input = [&](Value value) {
      return index(value) < graph_.nodes.size() && std::holds_alternative<Input>(operation(value));
    };
    Value input;
    for (LoweredOp& op : result_.ops) {
      const auto* convolution = std::get_if<lowered::Convolution>(&op.operation);
      const bool reads_planar =
          convolution != nullptr && convolution->conv.groups == 1 && is_input(op.inputs[0]);
      for_each_read(op, [&](Value& value) {
        if (!is_input(value) || (reads_planar && &value == op.inputs.data())) return;
        input = value;
        value = result_.packed_input;
      });
    }
    if (input.id >= 0)
      result_.ops.insert(result_.ops.begin(), {"input", {input}, result_.packed_input, lowered::Pack()});
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
      const auto* slice = std::get_if<Slice>(&op.operation);
      if (slice != nullptr) result_.placements[index(op.output)] = {op.inputs[0], slice->begin / lanes_};
      return slice != nullptr;
    });
  }

  void place_concats() {
    std::vector<LoweredOp> ops;
    for (const LoweredOp& op : result_.ops)
      if (std::holds_alternative<Concat>(op.operation))
        place_concat(op, ops);
      else
        ops.push_back(op);
    result_.ops = std::move(ops);
  }

  // Gives each input a place in the concatenation's storage, so that it is written there. Inputs that do not
  // begin at a block, or that have a place already, are copied: a run of such inputs is one operation.
  void place_concat(const LoweredOp& concat, std::vector<LoweredOp>& ops) {
    int offset = 0;
    bool copying = false;  // the last of `ops` takes the next input that has to be copied
    for (size_t i = 0; i < concat.inputs.size();) {
      const Value root = resolve({concat.inputs[i], 0}).root;
      const size_t end = whole_from(concat, i, root);
      if (end > i && root != concat.output && offset % lanes_ == 0) {
        copying = false;
        result_.placements[index(root)] = {concat.output, offset / lanes_};
        offset += channels(root);
        i = end;
        continue;
      }
      if (!copying) ops.push_back({concat.name, {}, concat.output, lowered::Gather{{}, offset}});
      copying = true;
      LoweredOp& copy = ops.back();
      auto& gathered = std::get<lowered::Gather>(copy.operation).channels;
      const int map = static_cast<int>(copy.inputs.size());
      for (int c = 0; c < channels(concat.inputs[i]); ++c) gathered.push_back({map, c});
      copy.inputs.push_back(concat.inputs[i]);
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
