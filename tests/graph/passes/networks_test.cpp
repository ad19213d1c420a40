// Every pass on every family of networks: classifiers from all sources and YOLOv8 on all backbones, with
// random batch norms, biases and gates.
#include <fmt/format.h>

#include "graph/passes/support.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::passes {
namespace {

// Deep networks amplify the rounding of their first layers.
constexpr double kTolerance = 5e-5;

struct Network {
  std::string name;
  Graph graph;
};

// The family's own key for its width, set to what keeps the reference executor quick.
nn::BackboneConfig small_settings(const nn::BackboneFamily& family) {
  if (family.defaults.contains("scale")) return {{"scale", 0.25}};
  if (family.name == "shufflenet_v2") return {{"width", 0.5}};  // the narrowest there is
  return {{"width", family.name == "vanillanet" ? 1.0 / 32 : 0.25}};
}

std::vector<Network> classifiers() {
  std::vector<Network> networks;
  for (const nn::BackboneFamily* family : nn::backbone_families())
    for (const nn::BackboneSource& source : family->sources) {
      nn::BackboneConfig settings = small_settings(*family);
      settings["source"] = source.name;
      networks.push_back({fmt::format("{} ({})", family->name, source.name),
                          nn::build_classifier(nn::choose_backbone(family->name, settings), 7)});
    }
  return networks;
}

std::vector<Network> detectors() {
  std::vector<Network> networks = {{"yolov8n", model::make_model("yolov8n", {}, {.classes = 3}).graph}};
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    model::ModelSpec spec = model::find_model_spec("yolov8n-p2", family->name);
    spec.backbone.front().args = nlohmann::json::array({small_settings(*family)});
    networks.push_back({"yolov8n-p2 on " + family->name, model::build_model(spec, {.classes = 3}).graph});
  }
  return networks;
}

// A network with other random weights than randomize() alone gives: batch norms fit to its activations, so
// that deep networks neither die away nor explode.
GraphWithWeights with_sane_weights(const Graph& graph, int size) {
  const Tensor input = testing::noise({2, 3, size, size}, 9);
  return {graph, reference::measure_batch_statistics(graph, randomize(graph, 3), input)};
}

Tensor filled(const Shape& shape, float value) {
  Tensor tensor(shape);
  std::ranges::fill(tensor.values(), value);
  return tensor;
}

int smallest_size(const Network& network) {
  return network.name.starts_with("yolo") ? 64 : 40;
}

// Detectors take multiples of their stride; classifiers odd sizes too.
std::vector<Shape> inputs_of(const Network& network) {
  if (network.name.starts_with("yolo")) return {{1, 3, 64, 32}};
  return {{2, 3, 40, 32}, {1, 3, 43, 35}};
}

std::vector<Network> all_networks() {
  std::vector<Network> networks = classifiers();
  for (Network& detector : detectors()) networks.push_back(std::move(detector));
  return networks;
}

TEST(Networks, NoPassChangesAnOutput) {
  for (const Network& network : all_networks()) {
    SCOPED_TRACE(network.name);
    const GraphWithWeights source = with_sane_weights(network.graph, smallest_size(network));
    std::vector<std::pair<std::string, GraphWithWeights>> rewritten = {{"all of them", deploy(source)}};
    for (const NamedPass& pass : passes()) rewritten.emplace_back(pass.name, pass.run(source, 0));
    for (const Shape& shape : inputs_of(network)) {
      const Tensor input = testing::noise(shape, 5);
      const std::vector<Tensor> expected = testing::run(source, input);
      for (const auto& [name, after] : rewritten)
        EXPECT_LT(testing::largest_difference(testing::run(after, input), expected), kTolerance)
            << name << ' ' << to_string(shape);
    }
  }
}

TEST(Networks, NoBatchNormAndNothingOfTrainingIsLeft) {
  for (const Network& network : all_networks()) {
    const Graph deployed = deploy({network.graph, randomize(network.graph, 1)}).graph;
    for (const Node& node : deployed.nodes)
      EXPECT_FALSE(std::holds_alternative<BatchNorm>(node.operation) ||
                   std::holds_alternative<Dropout>(node.operation) ||
                   std::holds_alternative<DropPath>(node.operation))
          << network.name << ": " << node.name;
  }
}

// The tests above would see a term left out only where it matters: what all parameters of one kind set to 0
// (the variances to 1) change is far beyond their tolerance.
TEST(Networks, EveryTermThatIsFoldedMatters) {
  for (const Network& network : all_networks()) {
    SCOPED_TRACE(network.name);
    const GraphWithWeights source = with_sane_weights(network.graph, smallest_size(network));
    const Tensor input = testing::noise(inputs_of(network).front(), 5);
    const std::vector<Tensor> expected = testing::run(source, input);
    for (const ParameterRole role :
         {ParameterRole::kBias, ParameterRole::kNormWeight, ParameterRole::kNormBias,
          ParameterRole::kRunningMean, ParameterRole::kRunningVar}) {
      GraphWithWeights changed = source;
      bool has_any = false;
      for (const Parameter& parameter : network.graph.parameters) {
        if (parameter.role != role) continue;
        const bool factor = role == ParameterRole::kRunningVar || role == ParameterRole::kNormWeight;
        changed.weights.at(parameter.name) = filled(parameter.shape, factor ? 1 : 0);
        has_any = true;
      }
      if (!has_any) continue;
      EXPECT_GT(testing::largest_difference(testing::run(deploy(changed), input), expected), 20 * kTolerance)
          << static_cast<int>(role);
    }
  }
}

// Every YAML of the zoo at its smallest scale, and every published network; the widest ones narrowed, as what
// merges does not depend on the width.
std::vector<Network> zoo() {
  std::vector<Network> networks;
  for (const std::string& name : model::zoo_names())
    if (model::split_scale(name).scale == "n" && name.find("vanillanet") == std::string::npos)
      networks.push_back({name, model::make_model(name, {}, {.classes = 4}).graph});
  for (const nn::BackboneFamily* family : nn::backbone_families())
    for (const nn::BackboneVariant& variant : family->variants) {
      nn::BackboneConfig settings = nn::BackboneConfig::object();
      if (family->name == "vanillanet" || family->name == "efficientnet") settings = small_settings(*family);
      networks.push_back(
          {variant.name, nn::build_classifier(nn::choose_backbone(variant.name, settings), 10)});
    }
  for (Network& detector : detectors()) networks.push_back(std::move(detector));
  return networks;
}

TEST(Networks, MultiplyAddsAndParametersNeverRise) {
  constexpr int kSize = 256;
  int merged = 0;
  for (const Network& network : zoo()) {
    GraphWithWeights source = {network.graph, {}};
    for (const Parameter& parameter : network.graph.parameters)
      if (!parameter.optional()) source.weights[parameter.name] = filled(parameter.shape, 0.5f);
    const GraphWithWeights deployed = deploy(source);
    const int64_t before = model::count_macs(source.graph, kSize, kSize),
                  after = model::count_macs(deployed.graph, kSize, kSize);
    EXPECT_LE(after, before) << network.name;
    EXPECT_LE(model::count_parameters(deployed.graph), model::count_parameters(source.graph)) << network.name;
    EXPECT_LE(deployed.graph.nodes.size(), source.graph.nodes.size()) << network.name;
    merged += after < before ? 1 : 0;
  }
  EXPECT_GT(merged, 0) << "VanillaNet's pairs at least";
}

}  // namespace
}  // namespace marrow::passes
