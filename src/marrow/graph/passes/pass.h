// What passes share. A pass is a pure function from a graph with its weights to another; its outputs and taps
// compute the same numbers in inference as before (up to rounding).
//
// A pass walks the old graph in order and builds the new one with a GraphRewriter:
//
//   GraphRewriter rewrite(source, "fold_batch_norm");
//   for (const Value value : rewrite.values())
//     if (matches(...))
//       rewrite.replace(value, ...);
//     else
//       rewrite.copy(value);
//   return std::move(rewrite).finish();
//
// Where a pass sees what it is for and leaves it, it says why in the debug log (decline()).
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/graph.h"

namespace marrow::passes {

struct GraphWithWeights {
  Graph graph;
  Weights weights;  // tensors share storage with the source where they did not change
};

// Keeps only the outputs and taps named, all as outputs and in that order, and the nodes and parameters they
// need. Throws Error{kModel} for an unknown name. An empty list keeps the graph's outputs and drops its taps.
GraphWithWeights select_outputs(const GraphWithWeights& source, std::span<const std::string> names);

// Of a detector with two pairs of branches the graph with one of them: kDecodedOutput, or with `one_to_one`
// kOneToOneOutput, whose maps are then the taps "feat0", ... Any other graph as it is. Throws Error{kUsage}
// when `one_to_one` is asked of a detector that has no such output.
GraphWithWeights keep_one_decode(const GraphWithWeights& source, bool one_to_one);

class GraphRewriter {
 public:
  // `source` must outlive the rewriter. `pass` is for the debug log.
  GraphRewriter(const GraphWithWeights& source, std::string_view pass);

  const GraphWithWeights& source() const { return source_; }
  std::vector<Value> values() const;  // the source's, in order

  // How many nodes read a value of the source, plus how many outputs and taps name it.
  int uses(Value value) const { return uses_.at(static_cast<size_t>(value.id)); }
  // How many nodes of the source name a parameter.
  int parameter_uses(const std::string& name) const;
  // The producer of `value` as an Op, when `value` is read once and no output or tap names it; nullptr
  // otherwise.
  template <class Op>
  const Op* sole_producer(Value value) const {
    return uses(value) == 1 ? std::get_if<Op>(&source_.graph.node(value).operation) : nullptr;
  }

  // Whether only one node names the parameter, so that it may change with that node.
  bool is_private(const std::string& parameter) const { return parameter_uses(parameter) <= 1; }

  // The new graph's value for one of the source's, and the node that computes it.
  Value mapped(Value old) const;
  const Node& now(Value old) const { return result_.graph.node(mapped(old)); }
  // Appends the source's node with its inputs mapped.
  Value copy(Value old);
  // Appends the source's node with another operation.
  Value copy_as(Value old, Operation operation);
  // Appends a node whose inputs are values of the new graph.
  Value append(Node node);
  // From here on `old` means `now` (a value of the new graph): for readers, outputs and taps.
  void replace(Value old, Value now);
  // From here on `old` means its own first input.
  void bypass(Value old) { replace(old, mapped(source_.graph.node(old).inputs[0])); }

  // A tensor of the new weights, by name, as float32. Replacing it may change the parameter's shape,
  // and makes a fixed one a weight like others.
  Tensor weight(const std::string& name) const;
  void set_weight(const std::string& name, Tensor tensor);
  // Declares a new parameter directly after the parameter `after`; `name` must be free (see free_name).
  void add_parameter(Parameter parameter, const std::string& after, Tensor tensor);
  // `name` if nothing bears it yet, otherwise with a number appended.
  std::string free_name(const std::string& name) const;

  // Tells the debug log why the pass leaves a node of the source as it is.
  void decline(Value old, std::string_view why) const;

  // Drops nodes that neither an output nor a tap needs and parameters that no node names, and verifies the
  // result.
  GraphWithWeights finish() &&;

 private:
  const GraphWithWeights& source_;
  const std::string pass_;
  GraphWithWeights result_;
  std::vector<int> uses_;
  std::map<std::string, int, std::less<>> parameter_uses_;
  std::vector<Value> mapped_;
};

}  // namespace marrow::passes
