#include "marrow/graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow {

Value Graph::find(std::string_view name) const {
  std::vector<std::string> known;
  for (const auto* list : {&outputs, &taps})
    for (const NamedValue& named : *list) {
      if (named.name == name) return named.value;
      known.push_back(named.name);
    }
  throw Error(ErrorKind::kModel, unknown_name_message("value of the graph", name, known));
}

const Parameter* Graph::find_parameter(std::string_view name) const {
  // Newest first: a builder asks for what it has just made.
  const auto found = std::find_if(parameters.rbegin(), parameters.rend(),
                                  [&](const Parameter& p) { return p.name == name; });
  return found == parameters.rend() ? nullptr : &*found;
}

namespace {

const Input& input_of(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (const auto* input = std::get_if<Input>(&node.operation)) return *input;
  throw Error(ErrorKind::kModel, "the graph has no input");
}

}  // namespace

const InputFormat& input_format(const Graph& graph) {
  return input_of(graph).format;
}

ImageReading image_reading(const Graph& graph) {
  const Input& input = input_of(graph);
  return image_reading(input.format, input.channels);
}

std::vector<std::string> parameter_names(const Operation& operation) {
  std::vector<std::string> names = std::visit(
      Overloaded{
          [](const Conv& op) {
            return std::vector{op.weight, op.bias};
          },
          [](const ConvTranspose& op) {
            return std::vector{op.weight, op.bias};
          },
          [](const Linear& op) {
            return std::vector{op.weight, op.bias};
          },
          [](const BatchNorm& op) {
            return std::vector{op.weight, op.bias, op.running_mean, op.running_var, op.num_batches_tracked};
          },
          [](const Activation& op) { return std::vector{op.slope_name}; },
          [](const Scale& op) { return std::vector{op.weight}; },
          [](const DetectDecode& op) { return std::vector{op.bins}; },
          [](const auto&) { return std::vector<std::string>{}; },
      },
      operation);
  std::erase(names, std::string());
  return names;
}

namespace {

std::vector<Shape> parameter_shapes(const Graph& graph, const Node& node) {
  const int in = node.inputs.empty() ? 0 : graph.node(node.inputs[0]).channels;
  std::vector<Shape> shapes = std::visit(
      Overloaded{
          [&](const Conv& op) {
            return std::vector<Shape>{{op.out_channels, in / std::max(op.groups, 1), op.kernel, op.kernel},
                                      {op.out_channels}};
          },
          [&](const ConvTranspose& op) {
            return std::vector<Shape>{{in, op.out_channels, op.kernel, op.kernel}, {op.out_channels}};
          },
          [&](const Linear& op) {
            return std::vector<Shape>{{op.out_features, in}, {op.out_features}};
          },
          [&](const BatchNorm&) {
            return std::vector<Shape>{{in}, {in}, {in}, {in}, {}};
          },
          [&](const Activation&) { return std::vector<Shape>{{}}; },
          [&](const Scale&) { return std::vector<Shape>{{in}}; },
          [&](const DetectDecode& op) {
            return std::vector<Shape>{{1, op.reg_max, 1, 1}};
          },
          [&](const auto&) { return std::vector<Shape>{}; },
      },
      node.operation);
  return shapes;
}

size_t smallest_arity(const Operation& operation) {
  return std::visit(Overloaded{[](const Input&) { return 0; }, [](const Add&) { return 2; },
                               [](const Multiply&) { return 2; }, [](const auto&) { return 1; }},
                    operation);
}

bool any_arity(const Operation& operation) {
  return std::holds_alternative<Concat>(operation) || std::holds_alternative<DetectDecode>(operation);
}

[[noreturn]] void broken(const std::string& message) {
  throw Error(ErrorKind::kModel, "broken graph: " + message);
}

}  // namespace

void verify(const Graph& graph) {
  std::map<std::string_view, const Parameter*> parameters;
  for (const Parameter& parameter : graph.parameters)
    if (!parameters.emplace(parameter.name, &parameter).second)
      broken("parameter '" + parameter.name + "' is declared twice");

  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const std::string where = fmt::format("node {} ({} {})", i, operation_name(node.operation), node.name);
    for (const Value input : node.inputs)
      if (input.id < 0 || static_cast<size_t>(input.id) >= i)
        broken(where + " reads a node that does not precede it");
    const size_t arity = smallest_arity(node.operation);
    if (node.inputs.size() < arity || (node.inputs.size() > arity && !any_arity(node.operation)))
      broken(fmt::format("{} has {} inputs", where, node.inputs.size()));
    if (node.channels <= 0) broken(where + " has no channels");
    const auto names = parameter_names(node.operation);
    const auto shapes = parameter_shapes(graph, node);
    for (size_t p = 0; p < names.size(); ++p) {
      const auto found = parameters.find(names[p]);
      if (found == parameters.end()) broken(where + " names an undeclared parameter '" + names[p] + "'");
      if (found->second->shape != shapes[p])
        broken(fmt::format("{} wants '{}' to be {}, declared {}", where, names[p], to_string(shapes[p]),
                           to_string(found->second->shape)));
    }
  }
  for (const auto* list : {&graph.outputs, &graph.taps})
    for (const NamedValue& named : *list)
      if (named.value.id < 0 || static_cast<size_t>(named.value.id) >= graph.nodes.size())
        broken("'" + named.name + "' names no node");
}

void verify(const Graph& graph, const Weights& weights) {
  for (const Parameter& parameter : graph.parameters) {
    const auto found = weights.find(parameter.name);
    if (found == weights.end()) {
      if (parameter.optional()) continue;
      throw Error(ErrorKind::kModel,
                  fmt::format("tensor '{}' {} is missing", parameter.name, to_string(parameter.shape)));
    }
    if (found->second.shape() != parameter.shape)
      throw Error(ErrorKind::kModel,
                  fmt::format("tensor '{}' is {}; the model wants {}", parameter.name,
                              to_string(found->second.shape()), to_string(parameter.shape)));
  }
}

}  // namespace marrow
