#include "marrow/model/batch_norm_settings.h"

#include <fmt/format.h>

#include <string_view>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/backbone_line.h"
#include "marrow/nn/blocks/conv.h"

namespace marrow::model {
namespace {

std::string module_path(const BatchNorm& norm) {
  constexpr std::string_view kLeaf = ".weight";
  return norm.weight.ends_with(kLeaf) ? norm.weight.substr(0, norm.weight.size() - kLeaf.size())
                                      : std::string();
}

std::map<std::string, weights::BatchNormSettings> batch_norms(const Graph& graph) {
  std::map<std::string, weights::BatchNormSettings> found;
  for (const Node& node : graph.nodes)
    if (const auto* norm = std::get_if<BatchNorm>(&node.operation))
      found[module_path(*norm)] = {norm->eps, norm->momentum};
  return found;
}

}  // namespace

size_t apply_batch_norms(Graph& graph, const std::map<std::string, weights::BatchNormSettings>& settings) {
  for (const auto& [path, bn] : settings)
    if (!(bn.eps > 0 && bn.eps <= 1 && bn.momentum > 0 && bn.momentum <= 1))
      throw Error(ErrorKind::kFormat,
                  fmt::format("batch norm '{}' has eps {} and momentum {}; both belong in (0, 1]",
                              printable(path), bn.eps, bn.momentum));
  size_t applied = 0;
  for (Node& node : graph.nodes)
    if (auto* norm = std::get_if<BatchNorm>(&node.operation))
      if (const auto found = settings.find(module_path(*norm)); found != settings.end()) {
        norm->eps = found->second.eps;
        norm->momentum = found->second.momentum;
        ++applied;
      }
  return applied;
}

std::vector<BatchNorm*> norms_in(Graph& graph) {
  std::vector<BatchNorm*> norms;
  for (Node& node : graph.nodes)
    if (auto* norm = std::get_if<BatchNorm>(&node.operation)) norms.push_back(norm);
  return norms;
}

void apply_detector_batch_norms(const ModelSpec& spec, Graph& graph) {
  constexpr std::string_view kBackbone = "model.0.";
  // The stem's batch norm, as PP-LCNet is named here, is of torch's class there; EfficientNet's is not.
  constexpr std::string_view kPlain = "model.0.conv1.";
  bool timm = false;
  if (!spec.backbone.empty() && names_backbone(spec.backbone.front().module)) {
    const nn::BackboneConfig config = read_backbone_line(spec.backbone.front()).choice.config;
    timm = config.at("source") == "timm" || config.at("source") == "tf";
  }
  for (BatchNorm* norm : norms_in(graph)) {
    if (timm && norm->weight.starts_with(kBackbone) && !norm->weight.starts_with(kPlain)) continue;
    norm->eps = nn::kYoloBatchNormEps;
    norm->momentum = nn::kYoloBatchNormMomentum;
  }
}

std::map<std::string, weights::BatchNormSettings> differing_batch_norms(const Graph& graph,
                                                                        const Graph& plain) {
  std::map<std::string, weights::BatchNormSettings> differing = batch_norms(graph);
  for (const auto& [path, bn] : batch_norms(plain)) {
    const auto found = differing.find(path);
    if (found != differing.end() && found->second.eps == bn.eps && found->second.momentum == bn.momentum)
      differing.erase(found);
  }
  return differing;
}

}  // namespace marrow::model
