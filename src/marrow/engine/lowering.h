// From a graph's nodes to the operations that become steps: activations, sums and products join the layer
// before them, and slices and concatenations become views where they can.
#pragma once

#include <vector>

#include "engine/step.h"
#include "graph/graph.h"

namespace marrow {

struct LoweredOp {
  enum class Kind {
    kNode,    // the operation of `node`, then the epilogue
    kPack,    // the planar input into blocks
    kOutput,  // the value into output tensor `output_index`
  };
  Kind kind = Kind::kNode;
  Value node;                 // kNode
  std::vector<Value> inputs;  // of the main operation
  Stage before, after;
  Epilogue::Join join = Epilogue::Join::kNone;
  Value other;            // joined
  Value output;           // what it defines
  int output_index = -1;  // kOutput
  int first_channel = 0;  // of a concatenation: where `inputs` are copied to
};

// Where a value lies: some blocks into the storage of its root.
struct Placement {
  Value root;
  int64_t block = 0;
};

struct Lowered {
  std::vector<LoweredOp> ops;  // in order of execution
  // By value. The one after the graph's last stands for the input in blocked layout.
  std::vector<Placement> placements;
  Value packed_input() const { return {static_cast<int>(placements.size()) - 1}; }
};

// `shapes` as from infer_shapes. REQUIRES: a verified graph without taps, all of whose nodes are needed.
Lowered lower(const Graph& graph, const Weights& weights, std::span<const Shape> shapes, int lanes);

}  // namespace marrow
