#include "marrow/model/summary.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "marrow/graph/shapes.h"
#include "marrow/model/node_macs.h"

namespace marrow::model {

int64_t node_macs(const Graph& graph, const Node& node, const std::vector<Shape>& shapes, const Shape& out) {
  const auto input = [&](size_t i) -> const Shape& { return shapes[static_cast<size_t>(node.inputs[i].id)]; };
  return std::visit(Overloaded{
                        [&](const Conv& op) {
                          const Parameter* weight = graph.find_parameter(op.weight);
                          if (weight != nullptr && weight->role == ParameterRole::kFixed) return int64_t{0};
                          return element_count(out) * (input(0)[1] / op.groups) * op.kernel * op.kernel;
                        },
                        [&](const ConvTranspose& op) {
                          return element_count(input(0)) * op.out_channels * op.kernel * op.kernel;
                        },
                        [&](const Linear& op) { return input(0)[1] * op.out_features; },
                        [&](const Attention& op) {
                          const int64_t positions = out[2] * out[3];
                          return positions * (positions / op.areas) * op.heads *
                                 (op.key_channels + op.value_channels);
                        },
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

// Depthwise convolutions that the reference merges into a larger one beside them (YOLOv10's large kernels).
std::vector<Value> merged_kernels(const Graph& graph) {
  std::vector<Value> merged;
  const auto depthwise = [&](Value value) -> std::optional<Value> {
    const Node& norm = graph.node(value);
    if (!std::holds_alternative<BatchNorm>(norm.operation)) return std::nullopt;
    const auto* conv = std::get_if<Conv>(&graph.node(norm.inputs[0]).operation);
    if (conv == nullptr || conv->groups == 1 || conv->groups != conv->out_channels) return std::nullopt;
    return norm.inputs[0];
  };
  const auto kernel = [&](Value conv) { return std::get<Conv>(graph.node(conv).operation).kernel; };
  for (const Node& node : graph.nodes) {
    if (!std::holds_alternative<Add>(node.operation)) continue;
    const auto one = depthwise(node.inputs[0]), other = depthwise(node.inputs[1]);
    if (one && other) merged.push_back(kernel(*one) < kernel(*other) ? *one : *other);
  }
  return merged;
}

struct Operations {
  int64_t convolutions = 0;
  int64_t norm_elements = 0;
  int64_t pool_elements = 0;  // read and written by global average pooling
};

// Of the branches of an end-to-end head that deployment drops.
bool is_dropped(std::string_view name) {
  return name.find(".one2one_") != std::string_view::npos;
}

Operations count_operations(const Graph& graph, const std::vector<Shape>& shapes, bool deployed = false) {
  Operations count;
  count.convolutions = dfl_macs(graph, shapes);
  if (deployed)
    for (const Value conv : merged_kernels(graph))
      count.convolutions -= node_macs(graph, graph.node(conv), shapes, shapes[static_cast<size_t>(conv.id)]);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (deployed && is_dropped(node.name)) continue;
    count.convolutions += node_macs(graph, node, shapes, shapes[i]);
    if (std::holds_alternative<BatchNorm>(node.operation)) count.norm_elements += element_count(shapes[i]);
    if (std::holds_alternative<GlobalAveragePool>(node.operation))
      count.pool_elements +=
          element_count(shapes[i]) + element_count(shapes[static_cast<size_t>(node.inputs[0].id)]);
  }
  return count;
}

// The modules of which YOLOv8's published models are made: the reference implementation's count is defined
// for these.
bool is_reference_family(const Model& model) {
  static const std::set<std::string> kModules = {
      "Conv",       "DWConv",          "GhostConv", "C2f",    "C2",      "C3",   "C3Ghost", "SPPF",
      "SPP",        "Upsample",        "Concat",    "Detect", "Segment", "Pose", "OBB",     "Classify",
      "Bottleneck", "GhostBottleneck", "C3k2",      "C3k",    "C2PSA",   "PSA",  "A2C2f",   "SCDown",
      "C2fCIB",     "v10Detect"};
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
    if (conv == nullptr || is_dropped(node.name)) continue;
    norms.push_back(norm);
    biased.push_back(!conv->bias.empty());
  }
  return norms;
}

// Every module has a path: the prefixes of its parameters' names, and the scopes of its operations. A shared
// activation is one module, wherever it is used.
struct ModuleCount {
  int leaves = 0;
  int all = 0;
};

ModuleCount count_modules(const Model& model, bool deployed) {
  std::set<std::string> paths = {""};
  const auto add = [&](std::string_view path) {
    for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1))
      paths.emplace(path.substr(0, dot));
    paths.emplace(path);
  };
  bool activations = false, dual = false;
  for (const Parameter& parameter : model.graph.parameters) {
    if (parameter.role == ParameterRole::kScalar || (deployed && is_dropped(parameter.name))) continue;
    dual |= is_dropped(parameter.name);
    add(std::string_view(parameter.name).substr(0, parameter.name.rfind('.')));
  }
  for (const Node& node : model.graph.nodes) {
    activations |= std::holds_alternative<Activation>(node.operation);
    if (!deployed || !is_dropped(node.name)) add(node.name);
  }
  int leaves = 0;
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    // In sorted order a child follows its parent, but "a.b1" may stand between "a.b" and "a.b.c".
    const auto child = paths.lower_bound(*path + '.');
    if (path->empty() || (child != paths.end() && child->starts_with(*path + '.'))) continue;
    ++leaves;
  }
  // The second branches were copied, each with an activation of its own.
  int silent = (activations ? 1 : 0) + (dual ? 2 : 0);
  for (const Layer& layer : model.layers) silent += layer.silent_modules;
  return {leaves + silent, static_cast<int>(paths.size()) + silent};
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
      row.macs += node_macs(model.graph, model.graph.nodes[node], shapes, shapes[node]);
    }
    if (layer.first_map) row.outputs.push_back(shapes[static_cast<size_t>(layer.first_map->id)]);
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
    if (parameter.role != ParameterRole::kScalar && parameter.role != ParameterRole::kFixed)
      ++summary.state_tensors;
  }
  summary.macs = count_operations(graph, shapes).convolutions;
  const ModuleCount modules = count_modules(model, false);
  summary.leaf_layers = modules.leaves;
  summary.modules = modules.all;
  count_layers(model, shapes, summary);

  std::vector<bool> biased;
  const std::vector<const BatchNorm*> norms = foldable_norms(graph, biased);
  summary.fused_parameters = summary.parameters;
  for (const Parameter& parameter : graph.parameters)
    if (parameter.counted() && is_dropped(parameter.name))
      summary.fused_parameters -= element_count(parameter.shape);
  for (size_t i = 0; i < norms.size(); ++i)
    // Scale and shift go; a bias comes, unless the convolution has one.
    summary.fused_parameters -=
        (biased[i] ? 2 : 1) * element_count(graph.find_parameter(norms[i]->weight)->shape);
  summary.fused_leaf_layers = count_modules(model, true).leaves - static_cast<int>(norms.size());
  for (const Value merged : merged_kernels(graph)) {
    const auto& conv = std::get<Conv>(graph.node(merged).operation);
    constexpr int kLeavesOfMerged = 3;  // the small convolution, and what stands for both units' activations
    summary.fused_parameters -= int64_t{conv.out_channels} * (conv.kernel * conv.kernel + 1);
    summary.fused_leaf_layers -= kLeavesOfMerged;
  }

  summary.gflops = summary.fused_gflops = 2.0 * static_cast<double>(summary.macs) / 1e9;
  if (is_reference_family(model)) {
    // Attention is quadratic in the area. Of other networks the reference counts one cell and multiplies.
    const bool attends = std::ranges::any_of(
        graph.nodes, [](const Node& node) { return std::holds_alternative<Attention>(node.operation); });
    const int cell = std::max(model.largest_stride, 32);
    const double area =
        attends ? 1 : static_cast<double>(height) * width / (static_cast<double>(cell) * cell);
    const std::vector<Shape> counted = attends ? shapes : shapes_at(graph, cell, cell);
    const auto gflops = [&](const Operations& count, int64_t norm_elements) {
      return 2.0 * area * static_cast<double>(count.convolutions + count.pool_elements + 4 * norm_elements) /
             1e9;
    };
    const Operations all = count_operations(graph, counted);
    summary.gflops = gflops(all, all.norm_elements);
    summary.fused_gflops = gflops(count_operations(graph, counted, true), 0);
  }
  return summary;
}

}  // namespace marrow::model
