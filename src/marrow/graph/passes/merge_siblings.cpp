#include "marrow/graph/passes/merge_siblings.h"

#include <algorithm>
#include <map>

#include "marrow/graph/passes/linear_layer.h"
#include "marrow/graph/passes/padding.h"

namespace marrow::passes {
namespace {

// By what siblings share: the value that they read, and their stride.
using Families = std::map<std::pair<int, int>, std::vector<Value>>;

std::string_view obstacle(const GraphRewriter& rewrite, const Conv& conv) {
  if (conv.groups != 1) return "a grouped convolution";
  if (!is_unpadded(conv)) return "a padded convolution";
  if (!has_private_parameters(rewrite, *linear_layer(conv))) return "its parameters are shared";
  return {};
}

Families find_families(const GraphRewriter& rewrite) {
  Families families;
  for (const Value value : rewrite.values()) {
    const Node& node = rewrite.source().graph.node(value);
    const auto* conv = std::get_if<Conv>(&node.operation);
    if (conv == nullptr || conv->kernel != 1 || rewrite.uses(node.inputs[0]) < 2) continue;
    if (const std::string_view why_not = obstacle(rewrite, *conv); why_not.empty())
      families[{node.inputs[0].id, conv->stride}].push_back(value);
    else
      rewrite.decline(value, why_not);
  }
  std::erase_if(families, [](const auto& entry) { return entry.second.size() < 2; });
  return families;
}

// One below the other.
Tensor stacked(const std::vector<Tensor>& parts) {
  Shape shape = parts.front().shape();
  shape[0] = 0;
  for (const Tensor& part : parts) shape[0] += part.dim(0);
  Tensor result(shape);
  auto to = result.values().begin();
  for (const Tensor& part : parts) to = std::ranges::copy(part.values(), to).out;
  return result;
}

void apply(GraphRewriter& rewrite, const std::vector<Value>& family) {
  const Graph& graph = rewrite.source().graph;
  std::vector<Tensor> weights, biases;
  bool biased = false;
  for (const Value value : family) {
    const Node& node = graph.node(value);
    const LinearLayer layer = *linear_layer(node.operation);
    weights.push_back(rewrite.weight(layer.weight));
    biases.push_back(bias_or_zeros(rewrite, layer, node.channels));
    biased |= !layer.bias.empty();
  }
  Node joined = graph.node(family.front());
  const double stride = joined.stride;
  joined.inputs[0] = rewrite.mapped(joined.inputs[0]);
  auto& conv = std::get<Conv>(joined.operation);
  rewrite.set_weight(conv.weight, stacked(weights));
  joined.channels = conv.out_channels = static_cast<int>(rewrite.weight(conv.weight).dim(0));
  if (biased) joined.operation = with_bias(rewrite, joined.operation, stacked(biases));
  const Value all = rewrite.append(std::move(joined));
  int begin = 0;
  for (const Value value : family) {
    const Node& node = graph.node(value);
    rewrite.replace(
        value,
        rewrite.append({Slice{begin, begin + node.channels}, {all}, node.name, node.channels, stride}));
    begin += node.channels;
  }
}

}  // namespace

GraphWithWeights merge_siblings(const GraphWithWeights& source) {
  GraphRewriter rewrite(source, "merge_siblings");
  const Families families = find_families(rewrite);
  std::map<int, const std::vector<Value>*> family_of;
  for (const auto& [shared, family] : families)
    for (const Value value : family) family_of[value.id] = &family;
  for (const Value value : rewrite.values()) {
    const auto found = family_of.find(value.id);
    if (found == family_of.end())
      rewrite.copy(value);
    else if (found->second->front() == value)
      apply(rewrite, *found->second);
  }
  return std::move(rewrite).finish();
}

}  // namespace marrow::passes
