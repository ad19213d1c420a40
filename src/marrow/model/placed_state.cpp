#include "marrow/model/placed_state.h"

#include <string_view>

#include "marrow/model/backbone_line.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/weights/rename.h"

namespace marrow::model {

std::map<std::string, weights::BatchNormSettings> PlacedState::renamed(
    const std::map<std::string, weights::BatchNormSettings>& settings) const {
  std::map<std::string, weights::BatchNormSettings> result;
  for (const auto& [path, bn] : settings) {
    const auto found = paths.find(path);
    result[found == paths.end() ? path : found->second] = bn;
  }
  return result;
}

PlacedState placed_state(const ModelSpec& spec, const Weights& state) {
  constexpr std::string_view kPrefix = "model.0.";
  constexpr std::string_view kLeaf = ".running_mean";
  PlacedState placed{state, {}};
  if (spec.backbone.empty() || !names_backbone(spec.backbone.front().module)) return placed;
  Weights theirs;
  for (auto entry = state.lower_bound(kPrefix); entry != state.end() && entry->first.starts_with(kPrefix);
       ++entry)
    theirs.emplace(entry->first.substr(kPrefix.size()), entry->second);
  const nn::BackboneChoice choice = read_backbone_line(spec.backbone.front()).choice;
  const nn::CheckpointLayout* layout = nn::layout_of(choice, theirs);
  if (layout == nullptr) return placed;

  const std::vector<weights::RenameRule> rules = layout->rules(choice.config);
  std::vector<std::string> unmatched;
  Weights ours = weights::rename(theirs, rules, &unmatched);
  // One at a time, to know which name became which.
  for (const auto& [name, tensor] : theirs) {
    placed.state.erase(std::string(kPrefix) + name);
    if (!name.ends_with(kLeaf)) continue;
    const Weights renamed = weights::rename({{name, tensor}}, rules);
    if (renamed.empty()) continue;
    const auto path = [&](const std::string& full) {
      return std::string(kPrefix) + full.substr(0, full.size() - kLeaf.size());
    };
    placed.paths[path(name)] = path(renamed.begin()->first);
  }
  if (layout->finish) layout->finish(ours);
  for (auto& [name, tensor] : ours) placed.state[std::string(kPrefix) + name] = tensor;
  for (const std::string& name : unmatched)
    placed.state[std::string(kPrefix) + name] = theirs.at(name);  // reported as unused
  return placed;
}

}  // namespace marrow::model
