#include "marrow/model/summary.h"

#include <algorithm>
#include <set>
#include <string>

#include "marrow/graph/shapes.h"
#include "marrow/model/node_macs.h"

namespace marrow::model {

int64_t node_macs(const Node& node, const std::vector<Shape>& shapes, const Shape& out) {
  const auto input = [&](size_t i) -> const Shape& { return shapes[static_cast<size_t>(node.inputs[i].id)]; };
  return std::visit(Overloaded{
                        [&](const Conv& op) {
                          return element_count(out) * (input(0)[1] / op.groups) * op.kernel * op.kernel;
                        },
                        [&](const ConvTranspose& op) {
                          return element_count(input(0)) * op.out_channels * op.kernel * op.kernel;
                        },
                        [&](const Linear& op) { return input(0)[1] * op.out_features; },
                        [&](const auto&) { return int64_t{0}; },
                    },
                    node.operation);
}

namespace {

bool is_constant(const Parameter& parameter) {
  return parameter.role == ParameterRole::kConstant;
}

// In the reference implementation the expectation over the bins is a 1x1 convolution, on four sides of every
// anchor.
int64_t dfl_macs(const Graph& graph, const std::vector<Shape>& shapes) {
  const auto bins = std::ranges::find_if(graph.parameters, is_constant);
  if (bins == graph.parameters.end()) return 0;
  int64_t cells = 0;
  for (const NamedValue& tap : graph.taps)
    if (tap.name.starts_with("feat")) {
      const Shape& shape = shapes[static_cast<size_t>(tap.value.id)];
      cells += shape.at(2) * shape.at(3);
    }
  return 4 * cells * element_count(bins->shape);
}

std::vector<Shape> shapes_at(const Graph& graph, int height, int width) {
  return infer_shapes(graph, {1, std::get<Input>(graph.nodes.at(0).operation).channels, height, width});
}

struct Operations {
  int64_t convolutions = 0;
  int64_t norm_elements = 0;
  int64_t pool_elements = 0;  // results of global average pooling
};

Operations count_operations(const Graph& graph, const std::vector<Shape>& shapes) {
  Operations count;
  count.convolutions = dfl_macs(graph, shapes);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    count.convolutions += node_macs(node, shapes, shapes[i]);
    if (std::holds_alternative<BatchNorm>(node.operation)) count.norm_elements += element_count(shapes[i]);
    if (std::holds_alternative<GlobalAveragePool>(node.operation))
      count.pool_elements += element_count(shapes[i]);
  }
  return count;
}

// The modules of which YOLOv8's published models are made: the reference implementation's count is defined
// for these.
bool is_reference_family(const Model& model) {
  static const std::set<std::string> kModules = {
      "Conv",    "DWConv", "GhostConv", "C2f",      "C2",         "C3",
      "C3Ghost", "SPPF",   "SPP",       "Upsample", "Concat",     "Detect",
      "Segment", "Pose",   "OBB",       "Classify", "Bottleneck", "GhostBottleneck"};
  return !model.layers.empty() && std::ranges::all_of(model.layers, [&](const Layer& layer) {
    return kModules.contains(layer.module);
  });
}

// Batch norms whose input comes from a convolution and is read by nothing else.
std::vector<const BatchNorm*> foldable_norms(const Graph& graph, std::vector<bool>& biased) {
  std::vector<int> readers(graph.nodes.size(), 0);
  for (const Node& node : graph.nodes)
    for (const Value input : node.inputs) ++readers[static_cast<size_t>(input.id)];
  std::vector<const BatchNorm*> norms;
  for (const Node& node : graph.nodes) {
    const auto* norm = std::get_if<BatchNorm>(&node.operation);
    if (norm == nullptr || readers[static_cast<size_t>(node.inputs[0].id)] != 1) continue;
    const auto* conv = std::get_if<Conv>(&graph.node(node.inputs[0]).operation);
    if (conv == nullptr) continue;
    norms.push_back(norm);
    biased.push_back(!conv->bias.empty());
  }
  return norms;
}

// Every module has a path: the prefixes of its parameters' names, and the scopes of its operations. A shared
// activation is one module, wherever it is used.
void count_modules(const Model& model, Summary& summary) {
  std::set<std::string> paths = {""};
  const auto add = [&](std::string_view path) {
    for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1))
      paths.emplace(path.substr(0, dot));
    paths.emplace(path);
  };
  bool activations = false;
  for (const Parameter& parameter : model.graph.parameters) {
    if (parameter.role == ParameterRole::kScalar) continue;
    add(std::string_view(parameter.name).substr(0, parameter.name.rfind('.')));
  }
  for (const Node& node : model.graph.nodes) {
    activations |= std::holds_alternative<Activation>(node.operation);
    add(node.name);
  }
  int leaves = 0;
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    // In sorted order a child follows its parent, but "a.b1" may stand between "a.b" and "a.b.c".
    const auto child = paths.lower_bound(*path + '.');
    if (path->empty() || (child != paths.end() && child->starts_with(*path + '.'))) continue;
    ++leaves;
  }
  int silent = activations ? 1 : 0;
  for (const Layer& layer : model.layers) silent += layer.silent_modules;
  summary.leaf_layers = leaves + silent;
  summary.modules = static_cast<int>(paths.size()) + silent;
}

void count_layers(const Model& model, const std::vector<Shape>& shapes, Summary& summary) {
  summary.layers.resize(model.layers.size());
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer& layer = model.layers[i];
    LayerSummary& row = summary.layers[i];
    const std::string prefix = "model." + std::to_string(layer.index) + '.';
    for (const Parameter& parameter : model.graph.parameters)
      if (parameter.counted() && parameter.name.starts_with(prefix))
        row.parameters += element_count(parameter.shape);
    for (int n = layer.first_node; n < layer.end_node; ++n) {
      const size_t node = static_cast<size_t>(n);
      row.macs += node_macs(model.graph.nodes[node], shapes, shapes[node]);
    }
    for (const Value output : layer.outputs) row.outputs.push_back(shapes[static_cast<size_t>(output.id)]);
  }
  if (!summary.layers.empty()) summary.layers.back().macs += dfl_macs(model.graph, shapes);
}

}  // namespace

int64_t count_parameters(const Graph& graph) {
  int64_t total = 0;
  for (const Parameter& parameter : graph.parameters)
    if (parameter.counted()) total += element_count(parameter.shape);
  return total;
}

int64_t count_macs(const Graph& graph, int height, int width) {
  return count_operations(graph, shapes_at(graph, height, width)).convolutions;
}

Summary summarize(const Model& model, int height, int width) {
  const Graph& graph = model.graph;
  const std::vector<Shape> shapes = shapes_at(graph, height, width);
  Summary summary;
  summary.parameters = count_parameters(graph);
  for (const Parameter& parameter : graph.parameters) {
    if (parameter.trainable()) summary.gradients += element_count(parameter.shape);
    if (parameter.role != ParameterRole::kScalar) ++summary.state_tensors;
  }
  summary.macs = count_operations(graph, shapes).convolutions;
  count_modules(model, summary);
  count_layers(model, shapes, summary);

  std::vector<bool> biased;
  const std::vector<const BatchNorm*> norms = foldable_norms(graph, biased);
  summary.fused_parameters = summary.parameters;
  for (size_t i = 0; i < norms.size(); ++i)
    // Scale and shift go; a bias comes, unless the convolution has one.
    summary.fused_parameters -=
        (biased[i] ? 2 : 1) * element_count(graph.find_parameter(norms[i]->weight)->shape);
  summary.fused_leaf_layers = summary.leaf_layers - static_cast<int>(norms.size());

  summary.gflops = summary.fused_gflops = 2.0 * static_cast<double>(summary.macs) / 1e9;
  if (is_reference_family(model)) {
    const int cell = std::max(model.largest_stride, 32);
    const double area = static_cast<double>(height) * width / (static_cast<double>(cell) * cell);
    const Operations count = count_operations(graph, shapes_at(graph, cell, cell));
    const auto gflops = [&](int64_t norm_elements) {
      return 2.0 * area *
             static_cast<double>(count.convolutions + 2 * count.pool_elements + 4 * norm_elements) / 1e9;
    };
    summary.gflops = gflops(count.norm_elements);
    summary.fused_gflops = gflops(0);
  }
  return summary;
}

}  // namespace marrow::model
