// From a graph's nodes to the operations that become steps: activations, sums and products join the layer
// before them, and slices, concatenations and channel shuffles become views, or places that a convolution
// reads, where they can.
#pragma once

#include <vector>

#include "marrow/engine/step.h"
#include "marrow/graph/graph.h"

namespace marrow::engine {

struct LoweredOp {
  enum class Kind {
    kNode,     // the operation of `node`, then the epilogue
    kPack,     // the planar input into blocks
    kGather,   // `channels` of the inputs, copied
    kConvert,  // between elements (engine/compile/elements.h)
    kOutput,   // the value into output tensor `output_index`
  };
  Kind kind = Kind::kNode;
  Value node;                 // kNode
  std::vector<Value> inputs;  // of the main operation
  Stage before, after;
  Epilogue::Join join = Epilogue::Join::kNone;
  Value other;            // joined
  Value output;           // what it defines
  int output_index = -1;  // kOutput
  // kGather: what is copied to the output's channels from first_channel on. Of a 1x1 convolution: where its
  // input channels lie, when they are not those of inputs[0] in order. `map` counts the inputs.
  std::vector<ChannelSource> channels;
  int first_channel = 0;
  // Of a depthwise convolution that takes only a part of inputs[0], from a block on: for each channel of the
  // part, the convolution's channel that is applied to it, or -1 for none.
  std::vector<int> rows;
  int64_t first_block = 0;
};

// Where a value lies: some blocks into the storage of its root.
struct Placement {
  Value root;
  int64_t block = 0;
};

struct Lowered {
  std::vector<LoweredOp> ops;  // in order of execution
  // By value. After the graph's values come the input in blocked layout, parts of depthwise convolutions, and
  // copies in other elements.
  std::vector<Placement> placements;
  std::vector<Shape> shapes;
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
    return value;
  }
};

// `shapes` as from infer_shapes. REQUIRES: a verified graph without taps, all of whose nodes are needed.
Lowered lower(const Graph& graph, const Weights& weights, std::span<const Shape> shapes, int lanes);

}  // namespace marrow::engine
