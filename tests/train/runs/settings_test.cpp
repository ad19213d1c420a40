// Every setting of a run does something, and a dataset with faults does not end it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/batch_norm_settings.h"
#include "marrow/model/import.h"
#include "marrow/train/start_model.h"
#include "marrow/train/train_checkpoint.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

using testing::TinyRun;
namespace fs = std::filesystem;
using Settings = std::vector<std::pair<const char*, const char*>>;

class SettingsTest : public ::testing::Test {
 protected:
  // A run of two epochs, and what it says.
  std::string train(const std::string& name, const Settings& settings) {
    TrainOptions options = tiny_.options(name);
    options.epochs = 2;
    for (const auto& [key, text] : settings) set_train_option(options, key, text);
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    std::string failure;
    try {
      EXPECT_EQ(run_training(options), RunOutcome::kFinished);
    } catch (const Error& error) {
      failure = std::string("failed: ") + error.what();
    }
    ::testing::internal::GetCapturedStdout();
    return ::testing::internal::GetCapturedStderr() + failure;
  }
  // Rows of numbers; NaN for an empty cell.
  std::vector<std::vector<double>> results(const std::string& name) const {
    std::ifstream file(tiny_.run(name) / "results.csv");
    std::vector<std::vector<double>> rows;
    std::string line, cell;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream cells(line);
      rows.emplace_back();
      while (std::getline(cells, cell, ',')) rows.back().push_back(cell.empty() ? NAN : std::stod(cell));
    }
    return rows;
  }
  fs::path image(int i) const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(tiny_.folder / "data/images/train")) all.push_back(entry);
    std::ranges::sort(all);
    return all.at(static_cast<size_t>(i));
  }
  void replace_in_data_yaml(const std::string& from, const std::string& to) {
    const fs::path file = tiny_.folder / "data/data.yaml";
    std::string text = read_file(file, 10000);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, text.find('\n', at) - at, to);
    write_file_atomically(file, text);
  }
  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++found;
    return found;
  }

  TinyRun tiny_;
};

TEST_F(SettingsTest, EachTrainsToFiniteNumbers) {
  const Settings kEach[] = {
      {{"optimizer", "auto"}},
      {{"optimizer", "Adam"}, {"lr0", "0.001"}},
      {{"optimizer", "Adamax"}, {"lr0", "0.001"}},
      {{"optimizer", "AdamW"}, {"lr0", "0.001"}},
      {{"optimizer", "NAdam"}, {"lr0", "0.001"}},
      {{"optimizer", "RAdam"}, {"lr0", "0.001"}},
      {{"optimizer", "RMSProp"}, {"lr0", "0.0001"}},
      {{"cos_lr", "true"}, {"rules", "8.3"}, {"warmup_epochs", "3"}},
      {{"multi_scale", "true"}},
      {{"rect", "true"}},
      {{"single_cls", "true"}},
      {{"fraction", "[0.5, 2]"}, {"cls_pw", "0.5"}, {"freeze", "[0, 8.cv2]"}},
      {{"classes", "[0]"}, {"scale", "[0.8, 1.1]"}, {"multi_scale", "0.25"}},
      {{"val", "false"}},
      {{"nbs", "4"}},
      {{"nbs", "1"}, {"batch", "1"}},
      {{"channels_last", "true"}},
      {{"amp", "bf16"}},
      {{"cache", "ram"}, {"workers", "4"}},
      {{"mixup", "1"}, {"cutmix", "1"}, {"copy_paste", "1"}, {"close_mosaic", "0"}, {"degrees", "10"}},
      {{"mosaic", "0"}, {"perspective", "0.001"}, {"shear", "5"}, {"flipud", "0.5"}, {"bgr", "0.5"}},
      {{"box", "0"}, {"cls", "1"}, {"dfl", "0"}},
      {{"weight_decay", "0"}, {"momentum", "0"}, {"lrf", "1"}},
      {{"batch", "-1"}},
      {{"split", "train"}, {"conf", "0.5"}, {"iou", "0.1"}, {"max_det", "1"}},
  };
  for (const Settings& settings : kEach) {
    std::string name;
    for (const auto& [key, text] : settings) name += fmt::format("{}-{}-", key, text);
    SCOPED_TRACE(name);
    const std::string said = train(name, settings);
    EXPECT_EQ(said.find("failed: "), std::string::npos) << said;
    const auto rows = results(name);
    EXPECT_EQ(rows.size(), 2u);
    for (const auto& row : rows) {
      EXPECT_EQ(row.size(), 15u);
      const bool measured = name != "val-false-" || row[0] == 2;
      for (size_t i = 0; i < row.size(); ++i)
        EXPECT_EQ(std::isfinite(row[i]), measured || i < 5 || i > 11) << i;
    }
    EXPECT_TRUE(fs::exists(tiny_.weights(name, "best")));
  }
  // And each does what it is for.
  EXPECT_NE(results("cos_lr-true-rules-8.3-warmup_epochs-3-")[1].back(), results("val-false-")[1].back());
  EXPECT_EQ(model::load_trained(tiny_.weights("single_cls-true-", "last")).model.names,
            std::vector<std::string>{"item"});
  EXPECT_EQ(results("box-0-cls-1-dfl-0-")[0][2], 0);
  EXPECT_GT(results("box-0-cls-1-dfl-0-")[0][3], 0);
}

TEST_F(SettingsTest, FractionTakesTheFirstImages) {
  const std::string said = train("half", {{"fraction", "0.5"}});
  EXPECT_NE(said.find("5 images in 2 batches of 4"), std::string::npos) << said;
}

TEST_F(SettingsTest, KeepsTheObjectsOfTheClassesNamed) {
  const std::string all = train("all", {{"epochs", "1"}});
  const std::string one = train("named", {{"epochs", "1"}, {"classes", "[1]"}});
  const std::string none = train("wrong", {{"classes", "[discs]"}});
  const auto objects = [](const std::string& said) {
    const size_t at = said.find("train: 10 images, ");
    return at == said.npos ? 0 : std::stoi(said.substr(at + 18));
  };
  EXPECT_GT(objects(one), 0) << one;
  EXPECT_LT(objects(one), objects(all));
  EXPECT_EQ(model::load_trained(tiny_.weights("named", "last")).model.classes(), 2);
  EXPECT_NE(none.find("classes: unknown class 'discs'. Did you mean 'disc'?"), std::string::npos) << none;
}

TEST_F(SettingsTest, ABatchMayBeAShareOfTheMemory) {
  const std::string said = train("share", {{"batch", "0.9"}, {"epochs", "1"}});
  EXPECT_NE(said.find("batch 0.9: "), std::string::npos) << said;
  EXPECT_EQ(results("share").size(), 1u);
  // A resumed run keeps the batch, whatever memory is free by then.
  train("kept", {{"batch", "0.9"}, {"epochs", "2"}, {"save_period", "1"}});
  const TrainOptions kept = read_train_checkpoint(tiny_.weights("kept", "epoch0")).options;
  EXPECT_EQ(kept.batch_memory, 0);
  EXPECT_GE(kept.batch, 1);
  // Nor does it when it is finished and gets longer, though its args.yaml asks for a share.
  ::testing::internal::CaptureStdout();
  resume_training(tiny_.run("kept"), [&](TrainOptions& o) {
    EXPECT_EQ(o.batch_memory, 0);
    EXPECT_EQ(o.batch, kept.batch);
    o.epochs = 3;
  });
  ::testing::internal::GetCapturedStdout();
}

TEST_F(SettingsTest, ValidatesNowAndThenAndAtTheEnd) {
  const std::string said = train("now_and_then", {{"epochs", "5"}, {"val_every", "2"}});
  EXPECT_EQ(count(said, "validation  precision"), 3u) << said;  // epochs 2, 4 and 5
  const auto rows = results("now_and_then");
  ASSERT_EQ(rows.size(), 5u);
  for (const auto& row : rows) EXPECT_EQ(std::isnan(row[8]), row[0] == 1 || row[0] == 3) << row[0];
}

TEST_F(SettingsTest, RefusesToChooseByAMetricOfClassifiers) {
  const std::string said = train("wrong", {{"best_metric", "top1"}});
  EXPECT_NE(said.find("failed: best_metric: 'top1' is not measured of a detector; wanted fitness, mAP50-95"),
            std::string::npos)
      << said;
}

// Both rules train; what is left behind names them.
TEST_F(SettingsTest, NamesTheRulesItFollows) {
  for (const char* rules : {"8.3", "8.4"}) {
    for (const char* optimizer : {"SGD", "MuSGD"}) {
      const std::string name = std::string(rules) + optimizer;
      const std::string said =
          train(name, {{"rules", rules}, {"optimizer", optimizer}, {"warmup_epochs", "3"}});
      EXPECT_EQ(said.find("failed: "), std::string::npos) << said;
      EXPECT_NE(said.find("by the rules of " + std::string(rules)), std::string::npos) << said;
      EXPECT_NE(said.find("(Ultralytics " + std::string(rules) + ")"), std::string::npos) << said;
      EXPECT_NE(read_file(tiny_.run(name) / "args.yaml", 10000).find("rules: " + std::string(rules)),
                std::string::npos);
      EXPECT_EQ(results(name).at(0).size(), std::string(optimizer) == "SGD" ? 15u : 20u);
    }
  }
  // 8.3 had the biases first, whose rate falls while the others' rises.
  EXPECT_GT(results("8.3SGD")[0][12], results("8.3SGD")[0][13]);
  EXPECT_GT(results("8.4SGD")[0][14], results("8.4SGD")[0][13]);
}

TEST_F(SettingsTest, BatchesNoLargerThanTheDataset) {
  const std::string said = train("large", {{"batch", "64"}});
  EXPECT_NE(said.find("10 images in 1 batch of 10"), std::string::npos) << said;
  EXPECT_EQ(results("large").size(), 2u);
}

TEST_F(SettingsTest, OneImageIsEnough) {
  const std::string said = train("one", {{"fraction", "0.1"}});
  EXPECT_NE(said.find("1 image in 1 batch of 1"), std::string::npos) << said;
  EXPECT_EQ(results("one").size(), 2u);
}

TEST_F(SettingsTest, NamesABrokenImageOnceAndGoesOn) {
  const fs::path broken = image(3), empty = image(5);
  const std::string bytes = read_file(broken, 1 << 20);
  write_file_atomically(broken, bytes.substr(0, bytes.size() / 3));
  write_file_atomically(empty, "");
  const std::string said = train("broken", {{"epochs", "3"}});
  EXPECT_EQ(said.find("failed: "), std::string::npos) << said;
  EXPECT_EQ(count(said, broken.filename().string()), 1u) << said;
  EXPECT_EQ(count(said, empty.filename().string()), 1u) << said;
  EXPECT_EQ(results("broken").size(), 3u);
}

TEST_F(SettingsTest, RefusesDataWithoutASingleObject) {
  for (const auto& entry : fs::recursive_directory_iterator(tiny_.folder / "data/labels"))
    if (entry.path().extension() == ".txt") write_file_atomically(entry.path(), "");
  const std::string said = train("nothing", {});
  EXPECT_NE(said.find("failed: "), std::string::npos) << said;
  EXPECT_NE(said.find("labels"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(tiny_.run("nothing")));
}

TEST_F(SettingsTest, SaysWhatIsWrongWithASplitAndLeavesNoFolder) {
  replace_in_data_yaml("val:", "val: images/nowhere");
  std::string said = train("x", {});
  EXPECT_NE(said.find("nowhere"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(tiny_.run("x")));
  fs::create_directories(tiny_.folder / "data/images/nowhere");
  said = train("x", {});
  EXPECT_NE(said.find("nowhere"), std::string::npos) << said;
  replace_in_data_yaml("val:", "");
  said = train("x", {});
  EXPECT_NE(said.find("failed: "), std::string::npos) << said;
  EXPECT_NE(said.find("val"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(tiny_.run("x")));
}

TEST_F(SettingsTest, SaysThatTheProjectCannotBeWritten) {
  const std::string project = image(0).string() + "/runs";  // below a file
  const std::string said = train("x", {{"project", project.c_str()}});
  EXPECT_NE(said.find("failed: " + project), std::string::npos) << said;
  EXPECT_EQ(said.find("images in"), std::string::npos) << said;  // before any work
}

TEST_F(SettingsTest, GivesUpOnARateThatIsFarTooHigh) {
  const std::string said =
      train("wild", {{"lr0", "1000"}, {"weight_decay", "10"}, {"nbs", "4"}, {"epochs", "40"}});
  EXPECT_NE(said.find("(3 of 3)"), std::string::npos) << said;
  EXPECT_NE(said.find("failed: "), std::string::npos) << said;
  EXPECT_NE(said.find("went back 3 times"), std::string::npos) << said;
  // The checkpoint that is left is a good one.
  for (const auto& [name, tensor] : read_train_checkpoint(tiny_.weights("wild", "last")).snapshot.weights)
    if (tensor.dtype() == DType::kFloat32) {
      for (const float value : tensor.values()) ASSERT_TRUE(std::isfinite(value)) << name;
    }
}

TEST_F(SettingsTest, NamesTheParameterThatCameInPoisoned) {
  TrainOptions options = tiny_.options("x");
  model::TrainedModel start = start_model(options, {"disc", "square"}, {}, [](const std::string&) {});
  start.weights.at("model.3.conv.weight").values()[5] = std::nanf("");
  model::save_checkpoint(tiny_.folder / "poisoned.safetensors", start.model, start.weights);
  const std::string said = train("x", {{"model", (tiny_.folder / "poisoned.safetensors").c_str()}});
  EXPECT_EQ(count(said, "the loss is not finite; first: parameter 'model.3.conv.weight'"), 4u) << said;
}

TEST_F(SettingsTest, SpeaksALineAnEpochWhenNoTerminalListens) {
  const std::string said = train("quiet", {{"epochs", "4"}});
  EXPECT_EQ(count(said, "box_loss"), 1u) << said;
  EXPECT_EQ(count(said, " images/s"), 4u) << said;
  EXPECT_EQ(count(said, "validation  precision"), 4u) << said;
  EXPECT_EQ(count(said, " GB of memory, and "), 1u) << said;
  EXPECT_EQ(count(said, "\n\n\n"), 0u) << said;
  EXPECT_EQ(count(said, "\r"), 0u) << said;
}

// Published networks have batch norms of their own, and training keeps them.
TEST_F(SettingsTest, KeepsTheBatchNormsThatWeightsCameWith) {
  TrainOptions options = tiny_.options("x");
  model::TrainedModel start = start_model(options, {"disc", "square"}, {}, [](const std::string&) {});
  model::apply_batch_norms(start.model.graph, {{"model.1.bn", {.eps = 1e-5, .momentum = 0.25}}});
  const std::string file = (tiny_.folder / "imported.safetensors").string();
  model::save_checkpoint(file, start.model, start.weights);
  const auto norm_of = [](const model::Model& model) {
    for (const Node& node : model.graph.nodes)
      if (const auto* norm = std::get_if<BatchNorm>(&node.operation);
          norm && norm->weight == "model.1.bn.weight")
        return std::pair<double, double>(norm->eps, norm->momentum);
    return std::pair<double, double>();
  };
  for (const char* key : {"model", "pretrained"}) {
    const std::string said = train(key, {{key, file.c_str()}});
    EXPECT_EQ(said.find("failed: "), std::string::npos) << said;
    EXPECT_EQ(norm_of(model::load_trained(tiny_.weights(key, "last")).model), std::pair(1e-5, 0.25)) << key;
  }
}

}  // namespace
}  // namespace marrow::train
