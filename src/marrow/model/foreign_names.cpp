#include "marrow/model/foreign_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/spec.h"
#include "marrow/weights/rename.h"

namespace marrow::model {
namespace {

// The tensors of the file, and the parameters of a model or its backbone, as match_by_order wants them.
std::vector<NamedShape> shapes_of_file(const weights::Checkpoint& checkpoint) {
  std::vector<NamedShape> shapes;
  for (const std::string& name : checkpoint.order)
    if (const Tensor& tensor = checkpoint.state.at(name); !tensor.shape().empty())
      shapes.push_back({name, tensor.shape()});
  return shapes;
}
std::vector<NamedShape> shapes_of(const Model& model, bool backbone_only,
                                  const std::vector<std::string>& left_out) {
  std::vector<std::string> names;
  if (backbone_only) names = backbone_parameters(model);
  std::vector<NamedShape> shapes;
  for (const Parameter& parameter : model.graph.parameters)
    if (!parameter.optional() && !parameter.shape.empty() && parameter.role != ParameterRole::kConstant &&
        (!backbone_only || std::ranges::binary_search(names, parameter.name)) &&
        !std::ranges::binary_search(left_out, parameter.name))
      shapes.push_back({parameter.name, parameter.shape});
  return shapes;
}

// Biases that a batch norm takes out again: some write them, others leave them out, and 0 is the same
// network. Sorted.
std::vector<std::string> idle_biases(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<BatchNorm>(node.operation))
      if (const auto* conv = std::get_if<Conv>(&graph.node(node.inputs[0]).operation);
          conv != nullptr && !conv->bias.empty())
        names.push_back(conv->bias);
  std::ranges::sort(names);
  return names;
}

}  // namespace

void rename_tensors(const std::vector<std::string>& texts, const std::string& file,
                    weights::Checkpoint& checkpoint) {
  std::vector<weights::RenameRule> rules;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(ErrorKind::kUsage,
                  fmt::format("--rename {}: wanted PATTERN=PATTERN, such as 'trunk.**=model.0.{{1}}'",
                              printable(text)));
    rules.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  if (rules.empty()) return;
  rules.push_back({"**", "{1}"});
  try {
    Weights renamed;
    std::vector<std::string> order;
    std::vector<bool> used(rules.size(), false);
    for (const std::string& name : checkpoint.order) {
      for (size_t i = 0; i < rules.size(); ++i)
        if (std::vector<std::string> captures; weights::match_name(rules[i].from, name, captures)) {
          used[i] = true;
          break;
        }
      const Weights one = weights::rename({{name, checkpoint.state.at(name)}}, rules);
      if (one.empty()) continue;  // dropped
      if (!renamed.insert(*one.begin()).second)
        throw Error(ErrorKind::kFormat,
                    fmt::format("two tensors become '{}'", printable(one.begin()->first)));
      order.push_back(one.begin()->first);
    }
    for (size_t i = 0; i + 1 < rules.size(); ++i)
      if (!used[i])
        throw Error(ErrorKind::kUsage,
                    fmt::format("--rename {}: no tensor has a name that it matches first", texts[i]));
    checkpoint.state = std::move(renamed);
    checkpoint.order = std::move(order);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", file, error.what()));
  }
}

std::vector<std::string> backbone_parameters(const Model& model) {
  const int last = model.layers.empty() ? model.graph.find("c5").id
                                        : model.layers.at(backbone_layers(model) - 1).end_node - 1;
  std::vector<std::string> names;
  for (int id = 0; id <= last; ++id)
    for (std::string& name : parameter_names(model.graph.nodes[static_cast<size_t>(id)].operation))
      names.push_back(std::move(name));
  std::ranges::sort(names);
  return names;
}

OrderMatch match_model(const weights::Checkpoint& checkpoint, const Model& model) {
  const std::vector<NamedShape> theirs = shapes_of_file(checkpoint);
  // With the biases that make no difference, and where there are any, without them.
  std::vector<std::vector<std::string>> readings = {{}};
  if (std::vector<std::string> idle = idle_biases(model.graph); !idle.empty())
    readings.push_back(std::move(idle));
  OrderMatch best;
  for (const bool backbone_only : {false, true})
    for (const std::vector<std::string>& left_out : readings) {
      const std::vector<NamedShape> ours = shapes_of(model, backbone_only, left_out);
      OrderMatch match = {match_by_order(theirs, ours), ours.size(), left_out};
      if (match.complete()) return match;
      best = std::move(match);
    }
  return best;
}

}  // namespace marrow::model
