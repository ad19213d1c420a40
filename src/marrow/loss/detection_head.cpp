#include "marrow/loss/detection_head.h"

#include "marrow/base/error.h"

namespace marrow::loss {
namespace {

const Node& detection_node(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<DetectDecode>(node.operation)) return node;
  fail_model("the model has no detection head");
}

}  // namespace

const DetectDecode& detection_head(const Graph& graph) {
  return std::get<DetectDecode>(detection_node(graph).operation);
}

std::vector<Value> detection_maps(const Graph& graph) {
  return detection_node(graph).inputs;
}

}  // namespace marrow::loss
