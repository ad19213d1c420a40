// Published files become models as a user would import them: golden/backbones/README.md, golden/yolov8/e2e.
#include "marrow/model/import.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/nn/backbones/backbone.h"
#include "support/golden.h"
#include "support/graphs.h"
#include "support/read_json.h"
#include "support/temporary_folder.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Our name of the family that a case names.
std::string family_of(const json& test) {
  return nn::choose_backbone(test.at("family").get<std::string>()).family->name;
}

// The YAML that a user would write for a network which is not a published variant.
fs::path write_description(const fs::path& folder, const json& test) {
  json settings = test.at("config");
  settings["source"] = test.at("source");
  const fs::path path = folder / "network.yaml";
  std::ofstream(path) << "classifier: " << family_of(test) << "\nsettings: " << settings.dump()
                      << "\nnc: " << test.at("num_classes") << "\n";
  return path;
}

// Its whole import, there and back through our own checkpoint.
void expect_import(const fs::path& file, const model::ImportOptions& options, int classes) {
  const testing::TemporaryFolder folder;
  const model::Import import = model::import_checkpoint(file, options);
  EXPECT_TRUE(import.report.complete()) << to_string(import.report);
  EXPECT_EQ(import.backbone_share, 1);
  EXPECT_EQ(import.trained.model.classes(), classes);
  model::save_checkpoint(folder / "ours.safetensors", import.trained.model, import.trained.weights);
  const model::TrainedModel read = model::load_trained(folder / "ours.safetensors");
  testing::expect_same(read.model.graph, import.trained.model.graph);
  for (const auto& [name, tensor] : import.trained.weights)
    EXPECT_EQ(relative_difference(read.weights.at(name).to_float(), tensor.to_float()), 0) << name;
}

TEST(parity_import, EveryBackboneFileBecomesAClassifier) {
  const auto cases = testing::golden_files("backbones", {"case.json"});
  MARROW_NEEDS_GOLDEN(cases, "backbones");
  int files = 0;
  for (const fs::path& path : cases) {
    const json test = testing::read_json(path);
    const testing::TemporaryFolder folder;
    const fs::path description = write_description(folder.path(), test);
    for (const std::string name : test.at("checkpoints")) {
      const fs::path file = path.parent_path() / name;
      SCOPED_TRACE(file.string());
      expect_import(file, {.model = description}, test.at("num_classes"));
      ++files;
      // Without a description: a published variant, or a message that says how to give one.
      try {
        EXPECT_TRUE(model::import_checkpoint(file).report.complete());
      } catch (const Error& error) {
        const std::string message = error.what();
        EXPECT_NE(message.find("'classifier: " + family_of(test) + "'"), std::string::npos) << message;
        EXPECT_NE(message.find("--model"), std::string::npos) << message;
      }
    }
  }
  EXPECT_GT(files, 0);
}

TEST(parity_import, EveryPickledDetectorFillsItself) {
  const auto files = testing::golden_files("yolov8", {".pt"});
  MARROW_NEEDS_GOLDEN(files, "a .pt below yolov8");
  for (const fs::path& path : files) {
    SCOPED_TRACE(path.string());
    expect_import(path, {}, model::load_trained(path).model.classes());
  }
}

// A state dict without a description, beside the YAML that it belongs to.
TEST(parity_import, StateDictsFillTheYamlBesideThem) {
  const auto state_dicts = testing::golden_files("yolov8", {"state_dict.safetensors"});
  MARROW_NEEDS_GOLDEN(state_dicts, "a state_dict.safetensors below yolov8");
  int files = 0;
  for (const fs::path& path : state_dicts) {
    for (const auto& beside : fs::directory_iterator(path.parent_path())) {
      if (beside.path().extension() != ".yaml") continue;
      SCOPED_TRACE(path.string());
      const model::Import import = model::import_checkpoint(path, {.model = beside.path()});
      EXPECT_TRUE(import.report.complete() && import.report.unused.empty()) << to_string(import.report);
      ++files;
    }
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace marrow
