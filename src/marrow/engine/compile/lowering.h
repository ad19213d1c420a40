// From a graph's nodes to the operations that become steps: activations, sums and products join the layer
// before them, and slices, concatenations and channel shuffles become views, or places that a convolution
// reads, where they can.
#pragma once

#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "marrow/engine/step.h"
#include "marrow/graph/graph.h"

namespace marrow::engine {

// step.h's Epilogue, before it is known where values lie.
struct LoweredEpilogue {
  Stage before;
  Epilogue::Join join = Epilogue::Join::kNone;
  Value other;  // what is joined, if anything
  Stage after;
};

// What the engine computes and the graph has no word for. Each holds what its step needs besides the values
// that it reads and defines.
namespace lowered {

struct Convolution {
  Conv conv;
  Value node;  // of `conv`
  // Of a 1x1 convolution: where its input channels lie, when they are not those of the input in order. `map`
  // counts the inputs.
  std::vector<ChannelSource> channels;
  LoweredEpilogue epilogue;
};

// A depthwise convolution of a part of the input, from a block on. rows[i]: the channel of `conv` that is
// applied to the part's channel i, or -1 for none.
struct DepthwisePart {
  Conv conv;
  std::vector<int> rows;
  int64_t first_block = 0;
  Stage activation;
};

// A 1x1 convolution, and the depthwise one that alone reads it: engine/compile/expansions.h.
struct ExpandDepthwise {
  Convolution expand;
  Conv depthwise;
  LoweredEpilogue epilogue;  // of the depthwise one
};

struct LinearLayer {
  Linear linear;
  LoweredEpilogue epilogue;
};

// Activations, and sums and products of equal shapes: the epilogue of nothing.
struct Elementwise {
  LoweredEpilogue epilogue;
};

// The first input times the second, (N, C, 1, 1).
struct Gate {
  Stage after;
};

// A batch norm that no layer could take in.
struct Affine {
  BatchNorm norm;
  Stage after;
};

// The planar input into blocks.
struct Pack {};

// `channels` of the inputs, copied to the output's channels from first_channel on.
struct Gather {
  std::vector<ChannelSource> channels;
  int first_channel = 0;
};

// Between elements (engine/compile/elements.h).
struct Convert {};

// A map into an output tensor.
struct Output {};

}  // namespace lowered

// The rest is as the graph has it. Slice, Concat and ChannelShuffle are only met while a graph is lowered.
using LoweredOperation =
    std::variant<lowered::Convolution, lowered::DepthwisePart, lowered::ExpandDepthwise, lowered::LinearLayer,
                 lowered::Elementwise, lowered::Gate, lowered::Affine, lowered::Pack, lowered::Gather,
                 lowered::Convert, lowered::Output, Slice, Concat, ChannelShuffle, ConvTranspose, MaxPool,
                 AdaptiveMaxPool, GlobalAveragePool, Upsample, Flatten, Scale, Attention, DetectDecode>;

struct LoweredOp {
  std::string name;  // of the graph's node
  std::vector<Value> inputs;
  Value output;  // what it defines
  LoweredOperation operation;
};

// Of an operation that has one, or nullptr. Op: LoweredOp, const or not.
template <class Op>
auto epilogue_of(Op& op) {
  using Result = std::conditional_t<std::is_const_v<Op>, const LoweredEpilogue*, LoweredEpilogue*>;
  return std::visit(
      [](auto& operation) -> Result {
        if constexpr (requires { operation.epilogue; })
          return &operation.epilogue;
        else
          return nullptr;
      },
      op.operation);
}

// Calls visit(value) for all that the operation reads: its inputs, and what it joins.
template <class Op, class Visit>
void for_each_read(Op& op, const Visit& visit) {
  for (auto& input : op.inputs) visit(input);
  if (auto* epilogue = epilogue_of(op); epilogue != nullptr && epilogue->join != Epilogue::Join::kNone)
    visit(epilogue->other);
}

// Where a value lies: some blocks into the storage of its root.
struct Placement {
  Value root;
  int64_t block = 0;
};

inline constexpr Value kInput = {0};  // a graph's first node

// Maps are stored in blocks of channels, everything else as it is (step.h).
inline bool is_planar(const Shape& shape) {
  return shape.size() != 4;
}

struct Lowered {
  std::vector<LoweredOp> ops;  // in order of execution
  // By value. After the graph's values come the input in blocked layout, maps in output tensors, parts of
  // depthwise convolutions, and copies in other elements.
  std::vector<Placement> placements;
  std::vector<Shape> shapes;
  std::vector<int> tensors;  // the output tensor in which it lies, or -1
  Value packed_input;
  // By value, from choose_elements on: how it is stored.
  struct Storage {
    Element element = Element::kFloat32;
    ByteScale scale;
    Value meaning;  // the value of the graph that it stands for, if any
  };
  std::vector<Storage> storage;

  Value add_value(const Shape& shape) {
    const Value value{static_cast<int>(placements.size())};
    placements.push_back({value, 0});
    shapes.push_back(shape);
    tensors.push_back(-1);
    return value;
  }
  Value root(Value value) const { return placements[static_cast<size_t>(value.id)].root; }
  // From choose_elements on: whether it is a map of float32 in the arena.
  bool is_float32_map(Value value) const {
    const auto i = static_cast<size_t>(value.id);
    return value != kInput && tensors[i] < 0 && !is_planar(shapes[i]) &&
           storage[i].element == Element::kFloat32;
  }
};

// `shapes` as from infer_shapes. REQUIRES: a verified graph without taps, all of whose nodes are needed.
Lowered lower(const Graph& graph, const Weights& weights, std::span<const Shape> shapes, int lanes);

}  // namespace marrow::engine
