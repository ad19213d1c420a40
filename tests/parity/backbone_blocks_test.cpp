// One block of each family in training mode: batch statistics, running statistics after one step, and the
// output with the old statistics. The blocks are those that a model YAML names.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "backbones/backbone.h"
#include "blocks/module.h"
#include "reference/executor.h"
#include "support/golden.h"
#include "weights/safetensors.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;  // golden/backbones/README.md, "grads"

using Metadata = std::map<std::string, std::string>;

// How the file's block is written as a line of a model YAML.
struct Line {
  std::string module;
  nlohmann::json arguments;
  std::vector<RenameRule> rules;
};

Line line_of(const SafetensorsFile& file) {
  const Metadata& metadata = file.metadata;
  const auto number = [&](const char* key) { return std::stoi(metadata.at(key)); };
  const std::vector<RenameRule> as_they_are = {{"**", "{1}"}};
  const auto has = [&](const char* name) { return file.tensors.contains(name); };
  if (has("param.conv1.0.weight"))
    return {"VanillaBlock", {number("dim_out"), number("stride"), number("act_num")}, as_they_are};
  if (has("param.branch2.0.weight")) return {"ShuffleNetV2", {number("oup"), number("stride")}, as_they_are};
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
    const BackboneChoice net = choose_backbone("efficientnet_b0", {{"source", "lukemelas"}});
    const bool expands = number("expand") != 1;
    const std::string theirs = expands ? "_blocks.1." : "_blocks.0.";
    const std::string ours = expands ? "features.2.0." : "features.1.0.";
    std::vector<RenameRule> rules;
    for (const CheckpointLayout& layout : net.family->layouts)
      if (layout.source == "lukemelas")
        for (const RenameRule& rule : layout.rules(net.config))
          if (rule.from.starts_with(theirs) && rule.to.starts_with(ours))
            rules.push_back({rule.from.substr(theirs.size()), rule.to.substr(ours.size())});
    return {"MBConv",
            {number("out"), number("expand"), number("kernel"), number("stride"), 0, "lukemelas"},
            rules};
  }
  ADD_FAILURE() << "a block of no known family";
  return {};
}

Graph build(const Line& line, int channels) {
  GraphBuilder g;
  const Module* module = find_module(line.module);
  ModuleCall call{g, {g.input(channels)}, line.arguments, module->arguments, 1, 80, {}};
  g.output("output", module->build(call).at(0));
  return std::move(g).build();
}

// The tensors of the file whose names begin so, under our names.
Weights group(const SafetensorsFile& file, const std::string& prefix, const Line& line) {
  Weights members;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix)) members.emplace(name.substr(prefix.size()), tensor);
  std::vector<std::string> unmatched;
  Weights renamed = rename(members, line.rules, &unmatched);
  EXPECT_TRUE(unmatched.empty()) << unmatched.front();
  return renamed;
}

void run_block(const SafetensorsFile& file) {
  const Line line = line_of(file);
  ASSERT_FALSE(line.module.empty());
  const Tensor& input = file.tensors.at("input");
  const Graph graph = build(line, static_cast<int>(input.dim(1)));
  Weights weights = group(file, "param.", line);
  weights.merge(group(file, "buffer_before.", line));
  if (const auto slope = file.metadata.find("act_learn"); slope != file.metadata.end())
    weights["act_learn"] = Tensor::scalar(std::stof(slope->second));
  ASSERT_NO_THROW(verify(graph, weights));

  const Value output = graph.find("output");
  const auto step = run_reference_with_batch_statistics(graph, weights, input, std::span(&output, 1));
  EXPECT_LE(relative_difference(step.values.at(0), file.tensors.at("output")), kTolerance);
  EXPECT_LE(
      relative_difference(run_reference(graph, weights, input, "output"), file.tensors.at("output_eval")),
      kTolerance);
  const Weights after = group(file, "buffer_after.", line);
  EXPECT_FALSE(after.empty());
  for (const auto& [name, expected] : after) {
    ASSERT_TRUE(step.statistics.contains(name)) << name;
    const Tensor& found = step.statistics.at(name);
    EXPECT_LE(relative_difference(found.to_float(), expected.to_float()), kTolerance) << name;
  }
}

TEST(parity_backbone_blocks, TrainingStepGivesTheRecordedOutputsAndStatistics) {
  const fs::path root = testing::golden_folder() / "backbones" / "grads";
  MARROW_NEEDS(root);
  int blocks = 0;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().extension() != ".safetensors") continue;
    SCOPED_TRACE(entry.path().filename().string());
    run_block(read_safetensors(entry.path()));
    ++blocks;
  }
  EXPECT_GT(blocks, 0);
}

}  // namespace
}  // namespace marrow
