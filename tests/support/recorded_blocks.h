// The backbone blocks of golden/backbones/grads: what each file's block is in a model YAML, and its tensors
// under our names.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"

namespace marrow::testing {

using Metadata = std::map<std::string, std::string>;

// How the file's block is written as a line of a model YAML.
struct RecordedBlock {
  std::string module;
  nlohmann::json arguments;
  std::vector<weights::RenameRule> rules;
};

inline RecordedBlock recorded_block(const weights::SafetensorsFile& file) {
  const Metadata& metadata = file.metadata;
  const auto number = [&](const char* key) { return std::stoi(metadata.at(key)); };
  const std::vector<weights::RenameRule> as_they_are = {{"**", "{1}"}};
  const auto has = [&](const char* name) { return file.tensors.contains(name); };
  if (has("param.conv1.0.weight"))
    return {"VanillaNetBlock", {number("dim_out"), number("stride"), number("act_num")}, as_they_are};
  if (has("param.branch2.0.weight"))
    return {"ShuffleNetUnit", {number("oup"), number("stride")}, as_they_are};
  if (has("param.f1.conv.weight"))
    return {"StarNetBlock",
            {number("dim"), number("mlp_ratio"), std::stod(metadata.at("drop_path"))},
            as_they_are};
  if (has("param.dw_conv.conv.weight"))
    return {"DepSepConv",
            {number("out"), number("kernel"), number("stride"), metadata.at("se") == "True"},
            {{"**._mean", "{1}.running_mean"}, {"**._variance", "{1}.running_var"}, {"**", "{1}"}}};
  if (has("param._depthwise_conv.weight")) {
    // The family's own rules, for its first block that expands as this one does.
    const nn::BackboneChoice net = nn::choose_backbone("efficientnet_b0", {{"source", "lukemelas"}});
    const bool expands = number("expand") != 1;
    const std::string theirs = expands ? "_blocks.1." : "_blocks.0.";
    const std::string ours = expands ? "features.2.0." : "features.1.0.";
    std::vector<weights::RenameRule> rules;
    for (const nn::CheckpointLayout& layout : net.family->layouts)
      if (layout.source == "lukemelas")
        for (const weights::RenameRule& rule : layout.rules(net.config))
          if (rule.from.starts_with(theirs) && rule.to.starts_with(ours))
            rules.push_back({rule.from.substr(theirs.size()), rule.to.substr(ours.size())});
    return {"EfficientNetBlock",
            {number("out"), number("expand"), number("kernel"), number("stride"), 0, "lukemelas"},
            rules};
  }
  ADD_FAILURE() << "a block of no known family";
  return {};
}

inline Graph build_block(const RecordedBlock& line, int channels) {
  GraphBuilder g;
  const nn::Module* module = nn::find_module(line.module);
  nn::ModuleCall call{g, {g.input(channels)}, line.arguments, module->arguments, 1, 80, {}};
  g.output("output", module->build(call).at(0));
  return std::move(g).build();
}

// The tensors of the file whose names begin so, under our names.
inline Weights recorded_group(const weights::SafetensorsFile& file, const std::string& prefix,
                              const RecordedBlock& line) {
  Weights members;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix)) members.emplace(name.substr(prefix.size()), tensor);
  std::vector<std::string> unmatched;
  Weights renamed = weights::rename(members, line.rules, &unmatched);
  EXPECT_TRUE(unmatched.empty()) << unmatched.front();
  return renamed;
}

// The file's parameters and statistics before the step, VanillaNet's slope included.
inline Weights recorded_weights(const weights::SafetensorsFile& file, const RecordedBlock& line) {
  Weights weights = recorded_group(file, "param.", line);
  weights.merge(recorded_group(file, "buffer_before.", line));
  if (const auto slope = file.metadata.find("act_learn"); slope != file.metadata.end())
    weights["act_learn"] = Tensor::scalar(std::stof(slope->second));
  return weights;
}

// Runs `test` on every file of golden/backbones/grads.
inline void for_each_recorded_block(const std::function<void(const weights::SafetensorsFile&)>& test) {
  const auto files = golden_files("backbones/grads", {".safetensors"});
  MARROW_NEEDS_GOLDEN(files, "backbones/grads");
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    test(weights::read_safetensors(file));
  }
}

}  // namespace marrow::testing
