#include "marrow/train/dropout.h"

#include <algorithm>
#include <optional>

#include "marrow/base/error.h"

namespace marrow::train {
namespace {

// A new node between `source` and the nodes that read it.
void insert_after(model::Model& model, Value source, Operation operation) {
  Graph& graph = model.graph;
  Node node = graph.node(source);
  node.operation = std::move(operation);
  node.inputs = {source};
  const auto after = [&](int id) { return id > source.id ? id + 1 : id; };
  for (Node& other : graph.nodes)
    for (Value& input : other.inputs) input.id = input == source ? source.id + 1 : after(input.id);
  graph.nodes.insert(graph.nodes.begin() + source.id + 1, std::move(node));
  for (auto* list : {&graph.outputs, &graph.taps})
    for (NamedValue& named : *list) named.value.id = after(named.value.id);
  for (model::Layer& layer : model.layers) {
    layer.first_node = after(layer.first_node);
    layer.end_node = after(layer.end_node);
    for (Value& output : layer.outputs) output.id = after(output.id);
  }
}

}  // namespace

void set_dropout(model::Model& model, double rate) {
  const Graph& graph = model.graph;
  const auto logits =
      std::ranges::find_if(graph.outputs, [](const NamedValue& output) { return output.name == "logits"; });
  if (logits == graph.outputs.end())
    throw Error(ErrorKind::kUsage, "dropout: only a classifier has a last layer to put it before");
  std::optional<Value> pool;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Operation& operation = graph.nodes[i].operation;
    if (std::holds_alternative<GlobalAveragePool>(operation)) pool = Value{static_cast<int>(i)};
    const auto* dropout = std::get_if<Dropout>(&operation);
    if (dropout == nullptr) continue;
    if (dropout->downscale_in_inference)
      throw Error(ErrorKind::kUsage,
                  "dropout: this network has one whose rate counts in inference too; it cannot be another");
    model.graph.nodes[i].operation = Dropout{.rate = rate};
    return;
  }
  const Node& last = graph.node(logits->value);
  if (std::holds_alternative<Linear>(last.operation))
    insert_after(model, last.inputs.front(), Dropout{.rate = rate});
  else if (pool)
    insert_after(model, *pool, Dropout{.rate = rate});
  else
    throw Error(ErrorKind::kUsage,
                "dropout: this network ends neither in a linear layer nor behind a pooling");
}

}  // namespace marrow::train
