#include "marrow/quantize/sensitivity.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/engine/engine.h"
#include "marrow/quantize/quantizable.h"

namespace marrow::quantize {
namespace {

// The raw maps that a detector's decode reads, where they have names, and every other output.
std::vector<std::string> compared_outputs(const Graph& graph) {
  std::vector<std::string> names;
  for (const NamedValue& output : graph.outputs) {
    const Node& node = graph.node(output.value);
    const size_t before = names.size();
    if (std::holds_alternative<DetectDecode>(node.operation))
      for (const NamedValue& tap : graph.taps)
        if (std::ranges::find(node.inputs, tap.value) != node.inputs.end()) names.push_back(tap.name);
    if (names.size() == before) names.push_back(output.name);
  }
  return names;
}

// Sums of squares of one output over all inputs.
struct Squares {
  double error = 0, size = 0;
};

void add(std::span<const float> found, std::span<const float> wanted, Squares& squares) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double difference = double{found[i]} - wanted[i];
    squares.error += difference * difference;
    squares.size += double{wanted[i]} * wanted[i];
  }
}

// Whether `name` is `prefix` or lies below it.
bool below(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '.');
}

}  // namespace

std::vector<LayerError> layer_errors(const passes::GraphWithWeights& model, std::span<const Tensor> inputs,
                                     int threads) {
  const std::vector<std::string> names = compared_outputs(model.graph);
  const Shape& shape = inputs.front().shape();
  std::vector<std::vector<Tensor>> wanted;  // by input and output
  engine::Engine exact(model.graph, model.weights, shape, names, {.threads = threads, .deploy = false});
  for (const Tensor& input : inputs) {
    exact.run(input);
    wanted.emplace_back();
    for (size_t i = 0; i < names.size(); ++i) wanted.back().push_back(exact.output(i).clone());
  }

  std::vector<LayerError> errors;
  for (const Value layer : quantizable_layers(model.graph)) {
    if (!model.graph.node(model.graph.node(layer).inputs[0]).byte_scale) continue;
    Graph graph = model.graph;
    graph.nodes[static_cast<size_t>(layer.id)].int8 = true;
    engine::Engine engine(graph, model.weights, shape, names,
                          {.threads = threads, .deploy = false, .precision = engine::Precision::kInt8});
    std::vector<Squares> squares(names.size());
    for (size_t k = 0; k < inputs.size(); ++k) {
      engine.run(inputs[k]);
      for (size_t i = 0; i < names.size(); ++i)
        add(engine.output(i).values(), wanted[k][i].values(), squares[i]);
    }
    LayerError& result = errors.emplace_back(LayerError{layer, graph.node(layer).name});
    for (const Squares& each : squares)
      if (each.size > 0) result.error += each.error / each.size / static_cast<double>(names.size());
  }
  return errors;
}

void keep_sensitive(std::vector<LayerError>& layers, double share, std::span<const std::string> names) {
  double sum = 0;
  for (const LayerError& layer : layers) sum += layer.error;
  for (LayerError& layer : layers)
    if (!(layer.error <= share * sum))
      layer.kept = fmt::format("{:.0f} % of the error", 100 * layer.error / sum);
  for (const std::string& name : names) {
    bool found = false;
    for (LayerError& layer : layers) {
      if (!below(layer.name, name)) continue;
      layer.kept = "asked for";
      found = true;
    }
    if (found) continue;
    std::vector<std::string> known;
    for (const LayerError& layer : layers) known.push_back(layer.name);
    throw Error(ErrorKind::kUsage, "--keep: " + unknown_name_message("layer", name, known));
  }
}

Graph mark_int8(Graph calibrated, std::span<const LayerError> layers) {
  for (const LayerError& layer : layers)
    calibrated.nodes[static_cast<size_t>(layer.layer.id)].int8 = layer.kept.empty();
  return calibrated;
}

}  // namespace marrow::quantize
