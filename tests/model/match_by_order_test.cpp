#include "marrow/model/match_by_order.h"

#include <gtest/gtest.h>

#include <map>

#include "marrow/base/error.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/weights/rename.h"
#include "marrow/weights/safetensors.h"
#include "marrow/weights/torch/torch_writer.h"
#include "support/temporary_folder.h"

namespace marrow::model {
namespace {

// {"conv.weight", {4, 3, 1, 1}} and its batch norm.
void add_unit(std::vector<NamedShape>& to, const std::string& conv, const std::string& norm,
              const Shape& weight) {
  to.push_back({conv + ".weight", weight});
  for (const char* leaf : {"weight", "bias", "running_mean", "running_var"})
    to.push_back({norm + "." + leaf, {weight[0]}});
}

std::map<std::string, std::string> by_ours(const std::vector<NamePair>& pairs) {
  std::map<std::string, std::string> map;
  for (const NamePair& pair : pairs) map[pair.ours] = pair.theirs;
  return map;
}

// Both branches begin with the same shapes; what follows tells them apart, whichever comes first.
TEST(MatchByOrder, TellsBranchesByTheirContents) {
  std::vector<NamedShape> theirs, ours;
  add_unit(theirs, "u.main.0", "u.main.1", {8, 8, 1, 1});
  add_unit(theirs, "u.main.3", "u.main.4", {8, 1, 3, 3});
  add_unit(theirs, "u.main.5", "u.main.6", {8, 8, 1, 1});
  add_unit(theirs, "u.proj.0", "u.proj.1", {8, 1, 3, 3});
  add_unit(theirs, "u.proj.2", "u.proj.3", {8, 8, 1, 1});
  add_unit(ours, "a.left.0", "a.left.1", {8, 1, 3, 3});
  add_unit(ours, "a.left.2", "a.left.3", {8, 8, 1, 1});
  add_unit(ours, "a.right.0", "a.right.1", {8, 8, 1, 1});
  add_unit(ours, "a.right.3", "a.right.4", {8, 1, 3, 3});
  add_unit(ours, "a.right.5", "a.right.6", {8, 8, 1, 1});
  const auto pairs = by_ours(match_by_order(theirs, ours));
  EXPECT_EQ(pairs.size(), ours.size());
  EXPECT_EQ(pairs.at("a.left.0.weight"), "u.proj.0.weight");
  EXPECT_EQ(pairs.at("a.left.3.running_var"), "u.proj.3.running_var");
  EXPECT_EQ(pairs.at("a.right.3.weight"), "u.main.3.weight");
}

TEST(MatchByOrder, LeavesWhatDoesNotFit) {
  const std::vector<NamedShape> theirs = {{"x.weight", {4, 3, 1, 1}}, {"y.weight", {9, 4}}};
  const std::vector<NamedShape> ours = {{"a.weight", {4, 3, 1, 1}}, {"b.weight", {10, 4}}};
  const auto pairs = by_ours(match_by_order(theirs, ours));
  EXPECT_EQ(pairs, (std::map<std::string, std::string>{{"a.weight", "x.weight"}}));
}

ModelSpec megvii() {
  ModelSpec spec = find_model_spec("shufflenet_v2_x0_5");
  spec.settings = {{"source", "megvii"}};
  return spec;
}

// A trunk whose names no layout knows, in several forms: from our names to those.
const std::vector<std::vector<weights::RenameRule>>& foreign_forms() {
  static const std::vector<std::vector<weights::RenameRule>> forms = {
      {{"conv1.**", "first_conv.{1}"},
       {"stage*.*.branch1.**", "stage{1}.{2}.branch_proj.{3}"},
       {"stage*.*.branch2.**", "stage{1}.{2}.branch_main.{3}"},
       {"conv5.**", "conv_last.{1}"},
       {"fc.**", "classifier.0.{1}"}},
      {{"conv1.**", "backbone.stem.{1}"},
       {"stage*.*.branch1.**", "backbone.layer{1}.{2}.shortcut.{3}"},
       {"stage*.*.branch2.**", "backbone.layer{1}.{2}.body.{3}"},
       {"conv5.**", "backbone.tail.{1}"},
       {"fc.**", "head.{1}"}}};
  return forms;
}

TEST(MatchByOrder, FillsATrunkUnderForeignNames) {
  const Model own = build_model(megvii());
  const Weights weights = randomize(own.graph, 11);
  for (const auto& rules : foreign_forms()) {
    const testing::TemporaryFolder folder;
    const Weights foreign = weights::rename(weights, rules);
    ASSERT_EQ(foreign.size(), weights.size());
    weights::write_safetensors(folder / "a.safetensors", foreign, {});
    weights::write_torch_state_dict(folder / "a.pth", foreign);
    for (const char* name : {"a.safetensors", "a.pth"}) {
      SCOPED_TRACE(name);
      // The published classifier, and a detector's backbone.
      for (const auto& [model, prefix] :
           {std::pair("shufflenet_v2_x0_5", ""), std::pair("yolov8n-shufflenet_v2_x0_5", "model.0.")}) {
        const Import import =
            import_checkpoint(folder / name, {.model = model, .source = "megvii", .match = "order"});
        EXPECT_EQ(import.backbone_share, 1);
        for (const auto& [tensor, values] : weights) {
          const std::string ours = prefix + tensor;
          const Parameter* parameter = import.trained.model.graph.find_parameter(ours);
          if (parameter == nullptr || parameter->optional()) continue;  // the classifier's
          EXPECT_EQ(relative_difference(import.trained.weights.at(ours), values), 0) << ours;
        }
      }
      // Names say no more than that there is another way.
      try {
        import_checkpoint(folder / name, {.model = "yolov8n-shufflenet_v2_x0_5"});
        FAIL() << "nothing was thrown";
      } catch (const Error& error) {
        const std::string message = error.what();
        EXPECT_NE(message.find("--match order"), std::string::npos) << message;
        EXPECT_NE(message.find("--rename"), std::string::npos) << message;
      }
    }
  }
}

TEST(MatchByOrder, RulesOfTheUserRename) {
  const Model own = build_model(megvii());
  const Weights weights = randomize(own.graph, 12);
  const testing::TemporaryFolder folder;
  weights::write_safetensors(folder / "a.safetensors", weights::rename(weights, foreign_forms()[1]), {});
  const Import import = import_checkpoint(
      folder / "a.safetensors", {.model = "shufflenet_v2_x0_5",
                                 .source = "megvii",
                                 .rename = {"backbone.stem.**=first_conv.{1}",
                                            "backbone.layer2.*.shortcut.**=features.{1}.branch_proj.{2}",
                                            "backbone.layer2.*.body.**=features.{1}.branch_main.{2}",
                                            "backbone.layer3.0.shortcut.**=features.4.branch_proj.{1}",
                                            "backbone.layer4.0.shortcut.**=features.12.branch_proj.{1}",
                                            "backbone.layer3.0.body.**=features.4.branch_main.{1}",
                                            "backbone.layer3.1.body.**=features.5.branch_main.{1}",
                                            "backbone.layer3.2.body.**=features.6.branch_main.{1}",
                                            "backbone.layer3.3.body.**=features.7.branch_main.{1}",
                                            "backbone.layer3.4.body.**=features.8.branch_main.{1}",
                                            "backbone.layer3.5.body.**=features.9.branch_main.{1}",
                                            "backbone.layer3.6.body.**=features.10.branch_main.{1}",
                                            "backbone.layer3.7.body.**=features.11.branch_main.{1}",
                                            "backbone.layer4.0.body.**=features.12.branch_main.{1}",
                                            "backbone.layer4.1.body.**=features.13.branch_main.{1}",
                                            "backbone.layer4.2.body.**=features.14.branch_main.{1}",
                                            "backbone.layer4.3.body.**=features.15.branch_main.{1}",
                                            "backbone.tail.**=conv_last.{1}", "head.**=classifier.0.{1}"}});
  EXPECT_TRUE(import.report.complete());
  EXPECT_EQ(relative_difference(import.trained.weights.at("stage4.2.branch2.3.weight"),
                                weights.at("stage4.2.branch2.3.weight")),
            0);
  const auto refused = [&](const std::string& rule) {
    try {
      import_checkpoint(folder / "a.safetensors", {.model = "shufflenet_v2_x0_5", .rename = {rule}});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused("backbone.stem").find("wanted PATTERN=PATTERN"), std::string::npos);
  EXPECT_NE(refused("trunk.**=x.{1}").find("no tensor has a name"), std::string::npos);
}

}  // namespace
}  // namespace marrow::model
