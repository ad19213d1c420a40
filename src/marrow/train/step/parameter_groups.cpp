#include "marrow/train/step/parameter_groups.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <sstream>
#include <utility>

namespace marrow::train {
namespace {

// The parts of a dotted name, numbers as numbers: model.2 comes before model.10, and cv2 before m.0.
std::vector<std::pair<int64_t, std::string>> natural_parts(const std::string& name) {
  std::vector<std::pair<int64_t, std::string>> parts;
  std::istringstream rest(name);
  for (std::string part; std::getline(rest, part, '.');) {
    int64_t number = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size()) number = INT64_MAX;
    parts.emplace_back(number, part);
  }
  return parts;
}

}  // namespace

std::string_view tail_of_branch(std::string_view name, std::string_view branch) {
  const size_t at = name.rfind(branch);
  if (at == std::string_view::npos || at == 0 || (name[at - 1] != '.' && name[at - 1] != '_')) return {};
  std::string_view tail = name.substr(at + branch.size());
  if (tail.size() < 3 || tail[0] != '.' || std::isdigit(static_cast<unsigned char>(tail[1])) == 0 ||
      tail[2] != '.')
    return {};
  return tail.substr(3);
}

std::vector<ParameterGroup> parameter_groups(const Graph& graph, double weight_decay, OptimizerKind kind,
                                             Rules rules) {
  const bool muon = kind == OptimizerKind::kMuSgd;
  constexpr double kClassBranchRate = 3;
  std::vector<ParameterGroup> groups;
  const std::vector<std::string> kinds = rules == Rules::k83 && !muon
                                             ? std::vector<std::string>{"bias", "weight", "bn"}
                                             : std::vector<std::string>{"weight", "bn", "bias"};
  const auto add = [&](const std::string& name, double rate) {
    groups.push_back({name, name == "weight" || name == "muon" ? weight_decay : 0, rate, {}});
  };
  for (const std::string& name : kinds) {
    if (muon) add(name, kClassBranchRate);
    add(name, 1);
  }
  if (muon) {
    add("muon", kClassBranchRate);
    add("muon", 1);
  }
  for (const Parameter& parameter : graph.parameters) {
    if (!parameter.counted()) continue;
    const bool matrix = parameter.shape.size() == 2 || parameter.shape.size() == 4;
    const bool bias = parameter.name.find("bias") != std::string::npos;
    const std::string name = muon && matrix                                 ? "muon"
                             : bias                                         ? "bias"
                             : parameter.role == ParameterRole::kNormWeight ? "bn"
                                                                            : "weight";
    const double rate = muon && !tail_of_branch(parameter.name, "cv3").empty() ? kClassBranchRate : 1;
    std::ranges::find_if(groups, [&](const ParameterGroup& group) {
      return group.kind == name && group.rate == rate;
    })->names.push_back(parameter.name);
  }
  for (ParameterGroup& group : groups) std::ranges::sort(group.names, {}, natural_parts);
  return groups;
}

// The biases' rate falls from one of their own to that of the others, which is `lr` by then.
double rate_of(const ParameterGroup& group, const IterationSettings& settings) {
  return (group.is_biases() ? settings.bias_lr : settings.lr) + (group.rate - 1) * settings.lr;
}

}  // namespace marrow::train
