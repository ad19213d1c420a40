// From what an ONNX graph does to its data to the operations of ours: each operator or group of operators
// becomes a Plan, which says what it reads and how it is built.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "marrow/graph/builder.h"
#include "marrow/graph/passes/pass.h"
#include "marrow/onnx/read/shaped_graph.h"

namespace marrow::onnx {

// A value in one of two forms. A vector (N, C) of the file may be wanted as the map (N, C, 1, 1), as a gate
// is that linear layers computed: then its layers are built as 1x1 convolutions.
struct Wanted {
  ValueId value;
  bool as_map = false;
};

// Builds operations, with their parameters' values beside the graph.
struct Building {
  GraphBuilder& graph;
  Weights& weights;

  // A layer's name that is still free: `wanted`, or like it with a number.
  std::string free_name(const std::string& wanted);
  std::map<std::string, int> used = {};  // and the number that the next one like it gets
};

struct Plan {
  std::vector<Wanted> inputs;
  std::function<Value(Building&, const std::vector<Value>&)> build;
  // Builds a layer under a name of its own; otherwise the operation is called after the file's node.
  bool named = false;
};

// A plan that passes its input on.
Plan pass_on(Wanted input);

// What the parameters of a layer are called: after the weight's name "model.0.conv.weight" if it looks like
// one, else after the node's "/model.0/conv/Conv". Without ".weight".
std::string layer_name(const ShapedGraph& graph, const ShapedNode& node, ValueId weight);
// A node's name as the path of a module: "/model.0/act/Mul" is "model.0.act".
std::string module_path(const ShapedNode& node);

// Each returns the plan for `wanted`, which `node` makes, or nothing when the node is not of its kind. They
// throw Error{kUnsupported}, without the node's name, for an operator that is of their kind but does what
// Marrow does not.
std::optional<Plan> recognise_decode(const ShapedGraph& graph, const ShapedNode& node);
// How the boxes of a decode are written, when `node` ends one.
enum class BoxForm { kCentre, kCorners };
std::optional<BoxForm> form_of_decode(const ShapedGraph& graph, const ShapedNode& node);
std::optional<Plan> recognise_activation(const ShapedGraph& graph, const ShapedNode& node, bool as_map);
std::optional<Plan> recognise_layer(const ShapedGraph& graph, const ShapedNode& node, bool as_map);
std::optional<Plan> recognise_attention(const ShapedGraph& graph, const ShapedNode& node);
std::optional<Plan> recognise_shape_change(const ShapedGraph& graph, const ShapedNode& node, size_t output,
                                           bool as_map);
std::optional<Plan> recognise_arithmetic(const ShapedGraph& graph, const ShapedNode& node, bool as_map);

// A value of the file, and what the graph's output is called.
struct NamedResult {
  ValueId value;
  std::string_view name;
};

// Builds what `wanted` needs as a graph with those outputs. Throws Error{kUnsupported} naming the node that
// is not recognised.
passes::GraphWithWeights recognise(const ShapedGraph& graph, const std::vector<NamedResult>& wanted);

}  // namespace marrow::onnx
