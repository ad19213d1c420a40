#include "marrow/quantize/quantizable.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace marrow::quantize {
namespace {

size_t index(Value value) {
  return static_cast<size_t>(value.id);
}

// The convolutions after which nothing is computed but the decoding.
std::vector<bool> last_layers(const Graph& graph) {
  std::vector<bool> seen(graph.nodes.size(), false), last(graph.nodes.size(), false);
  std::vector<Value> open;
  for (const auto* list : {&graph.outputs, &graph.taps})
    for (const NamedValue& named : *list)
      if (list == &graph.outputs || named.name.starts_with("feat")) open.push_back(named.value);
  while (!open.empty()) {
    const Value value = open.back();
    open.pop_back();
    if (seen[index(value)]) continue;
    seen[index(value)] = true;
    const Node& node = graph.node(value);
    if (std::holds_alternative<Conv>(node.operation))
      last[index(value)] = true;
    else if (moves_numbers(node.operation) || std::holds_alternative<DetectDecode>(node.operation))
      open.insert(open.end(), node.inputs.begin(), node.inputs.end());
  }
  return last;
}

}  // namespace

bool moves_numbers(const Operation& operation) {
  return std::holds_alternative<Concat>(operation) || std::holds_alternative<Slice>(operation) ||
         std::holds_alternative<ChannelShuffle>(operation) || std::holds_alternative<MaxPool>(operation) ||
         std::holds_alternative<Upsample>(operation);
}

std::vector<Value> quantizable_layers(const Graph& graph) {
  const std::vector<bool> last = last_layers(graph);
  std::vector<bool> pooled(graph.nodes.size(), false);  // behind a global pool; gates end that
  std::vector<Value> layers;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    pooled[i] = std::holds_alternative<GlobalAveragePool>(node.operation) ||
                (!node.inputs.empty() &&
                 std::ranges::all_of(node.inputs, [&](Value input) { return pooled[index(input)]; }));
    const auto* conv = std::get_if<Conv>(&node.operation);
    if (conv == nullptr || conv->groups != 1 || pooled[i] || last[i]) continue;
    if (std::holds_alternative<Input>(graph.node(node.inputs[0]).operation)) continue;
    layers.push_back({static_cast<int>(i)});
  }
  return layers;
}

std::vector<int> scale_groups(const Graph& graph, const std::vector<Value>& layers) {
  std::vector<int> parent(graph.nodes.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto find = [&](int value) {
    while (parent[static_cast<size_t>(value)] != value) value = parent[static_cast<size_t>(value)];
    return value;
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (moves_numbers(graph.nodes[i].operation))
      for (const Value input : graph.nodes[i].inputs)
        parent[static_cast<size_t>(find(input.id))] = find(static_cast<int>(i));
  std::set<int> read;
  for (const Value layer : layers) read.insert(find(graph.node(layer).inputs[0].id));
  std::vector<int> groups;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const int group = find(static_cast<int>(i));
    groups.push_back(read.contains(group) ? group : -1);
  }
  return groups;
}

}  // namespace marrow::quantize
