// Files as a source would publish them, made from a layout's own rules read backwards: zeros under the
// published names.
#pragma once

#include <fmt/format.h>

#include <stdexcept>

#include "marrow/nn/backbones/backbone.h"

namespace marrow::testing {

// "features.{1}.conv.{2}" <- "blocks.*.dw.**" becomes "features.*.conv.**" -> "blocks.{1}.dw.{2}".
inline weights::RenameRule reversed(const weights::RenameRule& rule) {
  weights::RenameRule back;
  std::vector<std::string> wildcards;
  for (size_t i = 0; i < rule.from.size(); ++i) {
    if (rule.from[i] != '*') {
      back.to += rule.from[i];
      continue;
    }
    const bool any = i + 1 < rule.from.size() && rule.from[i + 1] == '*';
    wildcards.push_back(any ? "**" : "*");
    back.to += fmt::format("{{{}}}", wildcards.size());
    i += any ? 1 : 0;
  }
  for (size_t i = 0; i < rule.to.size(); ++i) {
    if (rule.to[i] != '{') {
      back.from += rule.to[i];
      continue;
    }
    back.from += wildcards.at(static_cast<size_t>(rule.to[i + 1] - '1'));
    i += 2;
  }
  return back;
}

inline Weights published_file(const nn::BackboneChoice& choice, const nn::CheckpointLayout& layout,
                              int classes) {
  std::vector<weights::RenameRule> rules;
  for (const weights::RenameRule& rule : layout.rules(choice.config)) rules.push_back(reversed(rule));
  Weights ours;
  for (const Parameter& parameter : nn::build_classifier(choice, classes).parameters) {
    Shape shape = parameter.shape;
    for (const weights::RenameRule& rule : layout.rules(choice.config))
      if (rule.to == parameter.name && rule.transform == weights::RenameTransform::kTranspose2d)
        std::swap(shape.at(0), shape.at(1));
    if (!parameter.optional()) ours.emplace(parameter.name, Tensor(shape));
  }
  return weights::rename(ours, rules);
}

// The first layout of the source, or of the default one.
inline const nn::CheckpointLayout& layout_of(const nn::BackboneChoice& choice) {
  for (const nn::CheckpointLayout& layout : choice.family->layouts) {
    const bool deploy = layout.config.value("deploy", false);
    if (layout.source == choice.config.at("source") && deploy == choice.config.value("deploy", false))
      return layout;
  }
  throw std::logic_error("no layout for " + choice.name);
}

inline Weights published_file(std::string_view name,
                              const nn::BackboneConfig& overrides = nn::BackboneConfig::object(),
                              int classes = 10) {
  const nn::BackboneChoice choice = nn::choose_backbone(name, overrides);
  return published_file(choice, layout_of(choice), classes);
}

}  // namespace marrow::testing
