#include "marrow/onnx/read/recognise.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::onnx {

std::string Building::free_name(const std::string& wanted) {
  std::string name = wanted;
  while (!used.emplace(name, 2).second) name = fmt::format("{}_{}", wanted, used[wanted]++);
  return name;
}

Plan pass_on(Wanted input) {
  return {{input}, [](Building&, const std::vector<Value>& in) { return in[0]; }, false};
}

std::string module_path(const ShapedNode& node) {
  std::string path = printable(node.proto->name, 200);
  const size_t last = path.rfind('/');
  if (last != std::string::npos && last > 0) path.resize(last);
  while (path.starts_with('/')) path.erase(0, 1);
  std::ranges::replace(path, '/', '.');
  return path;
}

std::string layer_name(const ShapedGraph& graph, const ShapedNode& node, ValueId weight) {
  constexpr std::string_view kLeaf = ".weight";
  const std::string name = printable(graph.value(weight).name, 200);
  if (name.size() > kLeaf.size() && name.ends_with(kLeaf)) return name.substr(0, name.size() - kLeaf.size());
  const std::string path = module_path(node);
  return path.empty() ? "layer" : path;
}

namespace {

class Recogniser {
 public:
  explicit Recogniser(const ShapedGraph& graph) : graph_(graph), plans_(2 * graph.values.size()) {}

  passes::GraphWithWeights run(const std::vector<NamedResult>& results) {
    // Readers come after what they read, so one walk from the last node backwards meets every need before its
    // maker.
    for (const NamedResult& result : results) need({result.value, false});
    for (size_t i = graph_.nodes.size(); i-- > 0;)
      for (size_t output = 0; output < graph_.nodes[i].outputs.size(); ++output)
        for (const bool as_map : {false, true}) make_plan(graph_.nodes[i], output, as_map);

    Building building{builder_, result_.weights};
    build_input(building);
    for (const ShapedNode& node : graph_.nodes)
      for (const ValueId value : node.outputs)
        for (const bool as_map : {false, true}) build(building, node, {value, as_map});
    for (const NamedResult& result : results)
      builder_.output(result.name, built_.at(slot({result.value, false})));
    result_.graph = std::move(builder_).build();
    verify(result_.graph, result_.weights);
    return std::move(result_);
  }

 private:
  struct Slot {
    bool needed = false;
    std::optional<Plan> plan;
  };

  static size_t slot(const Wanted& wanted) {
    return 2 * static_cast<size_t>(wanted.value.id) + (wanted.as_map ? 1 : 0);
  }

  void need(const Wanted& wanted) {
    if (graph_.constant(wanted.value) != nullptr)
      throw Error(ErrorKind::kUnsupported, "a constant stands where the network's data is wanted");
    plans_.at(slot(wanted)).needed = true;
  }

  void make_plan(const ShapedNode& node, size_t output, bool as_map) {
    const ValueId value = node.outputs[output];
    if (value.id < 0) return;
    Slot& place = plans_.at(slot({value, as_map}));
    if (!place.needed) return;
    try {
      place.plan = plan_for(node, output, as_map);
      for (const Wanted& input : place.plan->inputs) need(input);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("node {}: {}", node.label(), error.what()));
    }
  }

  Plan plan_for(const ShapedNode& node, size_t output, bool as_map) const {
    if (const std::string& domain = node.proto->domain; domain.empty() || domain == "ai.onnx") {
      if (auto plan = recognise_decode(graph_, node)) return std::move(*plan);
      if (auto plan = recognise_activation(graph_, node, as_map)) return std::move(*plan);
      if (auto plan = recognise_layer(graph_, node, as_map)) return std::move(*plan);
      if (auto plan = as_map ? std::nullopt : recognise_attention(graph_, node)) return std::move(*plan);
      if (auto plan = recognise_shape_change(graph_, node, output, as_map)) return std::move(*plan);
      if (auto plan = recognise_arithmetic(graph_, node, as_map)) return std::move(*plan);
    }
    throw Error(ErrorKind::kUnsupported, "Marrow has no operation for this, alone or with its neighbours");
  }

  void build_input(Building& building) {
    const Shape& shape = graph_.shape(graph_.input);
    built_.resize(plans_.size());
    built_.at(slot({graph_.input, false})) = building.graph.input(static_cast<int>(shape.at(1)));
  }

  void build(Building& building, const ShapedNode& node, const Wanted& wanted) {
    if (wanted.value.id < 0) return;
    const Slot& place = plans_.at(slot(wanted));
    if (!place.plan) return;
    std::vector<Value> inputs;
    for (const Wanted& input : place.plan->inputs) inputs.push_back(built_.at(slot(input)));
    const auto scope = building.graph.scope(place.plan->named ? std::string() : module_path(node));
    try {
      built_.at(slot(wanted)) = place.plan->build(building, inputs);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("node {}: {}", node.label(), error.what()));
    }
  }

  const ShapedGraph& graph_;
  std::vector<Slot> plans_;
  std::vector<Value> built_;
  GraphBuilder builder_;
  passes::GraphWithWeights result_;
};

}  // namespace

passes::GraphWithWeights recognise(const ShapedGraph& graph, const std::vector<NamedResult>& wanted) {
  return Recogniser(graph).run(wanted);
}

}  // namespace marrow::onnx
