#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "marrow/graph/shapes.h"
#include "marrow/model/node_macs.h"
#include "marrow/model/summary.h"

namespace marrow::model {
namespace {

// "stages.0.1.dwconv" -> "stages.0", "fc" -> "fc"
std::string module_of(const std::string& scope) {
  const size_t first = scope.find('.');
  if (first == std::string::npos) return scope;
  const size_t second = scope.find('.', first + 1);
  const auto digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  const bool numbered = std::all_of(
      scope.begin() + static_cast<long>(first) + 1,
      second == std::string::npos ? scope.end() : scope.begin() + static_cast<long>(second), digit);
  return scope.substr(0, numbered ? second : first);
}

}  // namespace

std::vector<PartSummary> summarize_operations(const Graph& graph, int height, int width) {
  const std::vector<Shape> shapes = infer_shapes(graph, {1, graph.nodes.at(0).channels, height, width});
  std::map<std::string, int64_t> uncounted;  // parameters, each at its first reader
  for (const Parameter& parameter : graph.parameters)
    if (parameter.counted()) uncounted[parameter.name] = element_count(parameter.shape);
  std::vector<PartSummary> parts;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    PartSummary part{node.name, 0, node_macs(graph, node, shapes, shapes[i]), shapes[i]};
    for (const std::string& name : parameter_names(node.operation))
      part.parameters += std::exchange(uncounted[name], 0);
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<PartSummary> summarize_modules(const Graph& graph, int height, int width) {
  std::vector<PartSummary> modules;
  for (PartSummary& part : summarize_operations(graph, height, width)) {
    part.name = module_of(part.name);
    // Operations outside any module (a global pool, a flatten) go with what precedes them.
    if (!modules.empty() && (part.name.empty() || part.name == modules.back().name)) {
      modules.back().parameters += part.parameters;
      modules.back().macs += part.macs;
      modules.back().output = std::move(part.output);
    } else {
      if (part.name.empty()) part.name = "input";
      modules.push_back(std::move(part));
    }
  }
  return modules;
}

}  // namespace marrow::model
