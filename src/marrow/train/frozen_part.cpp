#include "marrow/train/frozen_part.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/evaluate/engine_predictor.h"
#include "marrow/graph/shapes.h"
#include "marrow/graph/training_mode.h"
#include "marrow/loss/detection_head.h"

namespace marrow::train {
namespace {

size_t index(Value value) {
  return static_cast<size_t>(value.id);
}

// By node: whether nothing that its value depends on is trained.
std::vector<bool> still_nodes(const Graph& graph, const std::vector<std::string>& frozen) {
  std::vector<bool> still;
  for (const Node& node : graph.nodes) {
    const std::vector<std::string> names = parameter_names(node.operation);
    still.push_back(std::ranges::all_of(node.inputs, [&](Value input) { return still[index(input)]; }) &&
                    std::ranges::all_of(names, [&](const std::string& name) {
                      return !graph.find_parameter(name)->trainable() || is_frozen(name, frozen);
                    }));
  }
  return still;
}

bool only_copies(const Node& node) {
  return std::holds_alternative<Concat>(node.operation) || std::holds_alternative<Upsample>(node.operation);
}

std::vector<Value> border_of(const Graph& graph, const std::vector<std::string>& frozen) {
  const std::vector<Value> targets = loss::detection_maps(graph);
  const std::vector<bool> still = still_nodes(graph, frozen), needed = reachable(graph, targets);
  std::vector<bool> read(graph.nodes.size(), false);
  for (const Value target : targets) read[index(target)] = still[index(target)];
  for (size_t i = graph.nodes.size(); i-- > 0;)
    if (needed[i] && (!still[i] || (read[i] && only_copies(graph.nodes[i])))) {
      read[i] = false;
      for (const Value input : graph.nodes[i].inputs)
        if (still[index(input)]) read[index(input)] = true;
    }
  std::vector<Value> border;
  for (size_t i = 0; i < read.size(); ++i) {
    if (!read[i]) continue;
    if (std::holds_alternative<Input>(graph.nodes[i].operation))
      throw Error(
          ErrorKind::kUsage,
          "cache: features: the first layer is trained, so nothing stays as it is; --freeze backbone");
    border.push_back({static_cast<int>(i)});
  }
  return border;
}

predict::CompiledNetwork network_of(Graph graph, Weights weights, const std::vector<Value>& border,
                                    int threads) {
  graph.taps.clear();
  graph.outputs.clear();
  for (const Value value : border)
    graph.outputs.push_back({fmt::format("border{}", graph.outputs.size()), value});
  // As the trainer sets it where it does not grow: VanillaNet's slope.
  for (const Parameter& parameter : graph.parameters)
    if (parameter.role == ParameterRole::kScalar)
      weights[parameter.name] = Tensor::from(parameter.shape, std::vector<float>{1});
  engine::EngineOptions options;
  options.threads = threads;
  return {{std::move(graph), std::move(weights)}, {}, options, 1};
}

}  // namespace

FrozenPart::FrozenPart(const Graph& graph, const Weights& weights, const std::vector<std::string>& frozen,
                       int threads)
    : border_(border_of(graph, frozen)), network_(network_of(graph, weights, border_, threads)) {}

std::vector<Shape> FrozenPart::map_shapes(int image_size) const {
  const Graph& graph = network_.graph();
  const std::vector<Shape> all =
      infer_shapes(graph, {1, graph.nodes.front().channels, image_size, image_size});
  std::vector<Shape> shapes;
  for (const NamedValue& output : graph.outputs) shapes.push_back(all[index(output.value)]);
  return shapes;
}

void FrozenPart::compute(const Tensor& images, int64_t index, std::span<Tensor> maps, int64_t place) {
  auto& compiled = network_.at({1, images.dim(1), images.dim(2), images.dim(3)});
  evaluate::fill_input(images, index, network_.graph(), compiled.input);
  compiled.run();
  for (size_t k = 0; k < maps.size(); ++k) {
    const Tensor& map = compiled.engine.output(k);
    std::ranges::copy(map.values(), maps[k].values().begin() + place * map.size());
  }
}

}  // namespace marrow::train
