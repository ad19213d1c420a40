#include "marrow/graph/passes/pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/graph/shapes.h"

namespace marrow::passes {
namespace {

// The input node stays even when nothing reads it: a graph has one.
GraphWithWeights drop_unneeded(const GraphWithWeights& source) {
  std::vector<Value> targets;
  for (const auto* list : {&source.graph.outputs, &source.graph.taps})
    for (const NamedValue& named : *list) targets.push_back(named.value);
  const std::vector<bool> needed = reachable(source.graph, targets);

  GraphWithWeights result;
  std::vector<Value> mapped(source.graph.nodes.size());
  std::set<std::string, std::less<>> named;
  for (size_t i = 0; i < source.graph.nodes.size(); ++i) {
    Node node = source.graph.nodes[i];
    if (!needed[i] && !std::holds_alternative<Input>(node.operation)) continue;
    for (Value& input : node.inputs) input = mapped[static_cast<size_t>(input.id)];
    for (std::string& name : parameter_names(node.operation)) named.insert(std::move(name));
    mapped[i] = Value{static_cast<int>(result.graph.nodes.size())};
    result.graph.nodes.push_back(std::move(node));
  }
  for (const Parameter& parameter : source.graph.parameters) {
    if (!named.contains(parameter.name)) continue;
    result.graph.parameters.push_back(parameter);
    if (const auto found = source.weights.find(parameter.name); found != source.weights.end())
      result.weights.insert(*found);
  }
  const auto map_list = [&](const std::vector<NamedValue>& list) {
    std::vector<NamedValue> out = list;
    for (NamedValue& entry : out) entry.value = mapped[static_cast<size_t>(entry.value.id)];
    return out;
  };
  result.graph.outputs = map_list(source.graph.outputs);
  result.graph.taps = map_list(source.graph.taps);
  return result;
}

}  // namespace

GraphWithWeights select_outputs(const GraphWithWeights& source, std::span<const std::string> names) {
  GraphWithWeights selected = source;
  if (!names.empty()) {
    selected.graph.outputs.clear();
    for (const std::string& name : names) selected.graph.outputs.push_back({name, source.graph.find(name)});
  }
  selected.graph.taps.clear();
  return drop_unneeded(selected);
}

GraphWithWeights keep_one_decode(const GraphWithWeights& source, bool one_to_one) {
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(source.graph.outputs,
                               [&](const NamedValue& output) { return output.name == name; });
  };
  if (one_to_one && !has(kOneToOneOutput) && has(kDecodedOutput))
    throw Error(
        ErrorKind::kUsage,
        "the detector has no branches that do without suppression, as those of YOLO26 and YOLOv10 have");
  if (!has(kDecodedOutput) || !has(kOneToOneOutput)) return source;
  constexpr std::string_view kPrefix = "one2one_";
  GraphWithWeights result = source;
  std::erase_if(result.graph.outputs, [&](const NamedValue& output) {
    return output.name == (one_to_one ? kDecodedOutput : kOneToOneOutput);
  });
  std::erase_if(result.graph.taps, [&](const NamedValue& tap) {
    return one_to_one ? tap.name.starts_with("feat") : tap.name.starts_with(kPrefix);
  });
  for (NamedValue& tap : result.graph.taps)
    if (tap.name.starts_with(kPrefix)) tap.name.erase(0, kPrefix.size());
  return drop_unneeded(result);
}

GraphRewriter::GraphRewriter(const GraphWithWeights& source, std::string_view pass)
    : source_(source), pass_(pass), uses_(source.graph.nodes.size(), 0), mapped_(source.graph.nodes.size()) {
  result_.graph.parameters = source.graph.parameters;
  result_.weights = source.weights;
  const auto use = [&](Value value) { ++uses_.at(static_cast<size_t>(value.id)); };
  for (const Node& node : source.graph.nodes) {
    std::ranges::for_each(node.inputs, use);
    for (const std::string& name : parameter_names(node.operation)) ++parameter_uses_[name];
  }
  for (const auto* list : {&source.graph.outputs, &source.graph.taps})
    for (const NamedValue& named : *list) use(named.value);
}

std::vector<Value> GraphRewriter::values() const {
  std::vector<Value> values;
  for (size_t i = 0; i < source_.graph.nodes.size(); ++i) values.push_back({static_cast<int>(i)});
  return values;
}

int GraphRewriter::parameter_uses(const std::string& name) const {
  const auto found = parameter_uses_.find(name);
  return found == parameter_uses_.end() ? 0 : found->second;
}

Value GraphRewriter::mapped(Value old) const {
  const Value now = mapped_.at(static_cast<size_t>(old.id));
  assert(now.id >= 0);
  return now;
}

Value GraphRewriter::copy(Value old) {
  return copy_as(old, source_.graph.node(old).operation);
}

Value GraphRewriter::copy_as(Value old, Operation operation) {
  Node node = source_.graph.node(old);
  node.operation = std::move(operation);
  for (Value& input : node.inputs) input = mapped(input);
  const Value now = append(std::move(node));
  replace(old, now);
  return now;
}

Value GraphRewriter::append(Node node) {
  result_.graph.nodes.push_back(std::move(node));
  return {static_cast<int>(result_.graph.nodes.size()) - 1};
}

void GraphRewriter::replace(Value old, Value now) {
  mapped_.at(static_cast<size_t>(old.id)) = now;
}

Tensor GraphRewriter::weight(const std::string& name) const {
  return result_.weights.at(name).to_float();
}

void GraphRewriter::set_weight(const std::string& name, Tensor tensor) {
  const auto declared = std::ranges::find(result_.graph.parameters, name, &Parameter::name);
  assert(declared != result_.graph.parameters.end());
  declared->shape = tensor.shape();
  if (declared->role == ParameterRole::kFixed) declared->role = ParameterRole::kWeight;
  result_.weights.at(name) = std::move(tensor);
}

void GraphRewriter::add_parameter(Parameter parameter, const std::string& after, Tensor tensor) {
  auto& parameters = result_.graph.parameters;
  const auto place = std::ranges::find(parameters, after, &Parameter::name);
  assert(place != parameters.end());
  result_.weights.emplace(parameter.name, std::move(tensor));
  parameters.insert(place + 1, std::move(parameter));
}

std::string GraphRewriter::free_name(const std::string& name) const {
  std::string candidate = name;
  for (int i = 2; result_.graph.find_parameter(candidate) != nullptr; ++i)
    candidate = name + '_' + std::to_string(i);
  return candidate;
}

void GraphRewriter::decline(Value old, std::string_view why) const {
  const Node& node = source_.graph.node(old);
  debug(
      fmt::format("{}: leaves %{} {} {}: {}", pass_, old.id, operation_name(node.operation), node.name, why));
}

GraphWithWeights GraphRewriter::finish() && {
  const auto map_list = [&](const std::vector<NamedValue>& list) {
    std::vector<NamedValue> out = list;
    for (NamedValue& entry : out) entry.value = mapped(entry.value);
    return out;
  };
  result_.graph.outputs = map_list(source_.graph.outputs);
  result_.graph.taps = map_list(source_.graph.taps);
  GraphWithWeights result = drop_unneeded(result_);
  verify(result.graph);
  return result;
}

}  // namespace marrow::passes
