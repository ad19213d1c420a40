#include "marrow/loss/detection_head.h"

#include "marrow/base/error.h"

namespace marrow::loss {
namespace {

const Node& detection_node(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<DetectDecode>(node.operation)) return node;
  fail_model("the model has no detection head");
}

std::vector<Value> maps_of(const Node& node) {
  const auto levels = static_cast<std::ptrdiff_t>(std::get<DetectDecode>(node.operation).levels());
  return {node.inputs.begin(), node.inputs.begin() + levels};
}

}  // namespace

const DetectDecode& detection_head(const Graph& graph) {
  return std::get<DetectDecode>(detection_node(graph).operation);
}

std::vector<Value> detection_maps(const Graph& graph) {
  return maps_of(detection_node(graph));
}

std::vector<Value> extra_maps(const Graph& graph) {
  const Node& node = detection_node(graph);
  return {node.inputs.begin() + std::ssize(maps_of(node)), node.inputs.end()};
}

std::vector<Value> second_detection_maps(const Graph& graph) {
  for (const NamedValue& output : graph.outputs)
    if (output.name == kOneToOneOutput) return maps_of(graph.node(output.value));
  fail_model("the model's head has no second branches");
}

}  // namespace marrow::loss
