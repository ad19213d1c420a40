// `marrow val` and `marrow train` as processes.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "apps/program.h"
#include "marrow/data/tools/synth.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

class ValCommand : public ::testing::Test {
 protected:
  ValCommand() {
    data::SynthOptions synth;
    synth.images = 8;
    synth.val_share = 0.5;
    synth.image_size = 96;
    synth.objects = 3;
    synth.classes = {"disc", "square", "star"};
    data::write_synth_dataset(folder_ / "data", synth);
    const model::Model model = model::make_model("yolov8n", {}, {.names = synth.classes});
    model::save_checkpoint(folder_ / "model.safetensors", model, randomize(model.graph, 3));
  }
  ProgramResult val(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"val", "--imgsz", "96"});
    const auto is_plots = [](const std::string& argument) { return argument == "--plots"; };
    if (std::ranges::none_of(arguments, is_plots)) arguments.push_back("--no-plots");
    testing::ProgramOptions here;
    here.folder = folder_.path();
    return run_program(arguments, here);
  }
  const testing::TemporaryFolder folder_;
};

TEST_F(ValCommand, PrintsBothDefinitionsOfMap) {
  const ProgramResult result = val({"--model", "model.safetensors", "--data", "data/data.yaml"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "mAP50-95)");
  EXPECT_SAYS(result.out, "IoU=0.50:0.95");
  EXPECT_SAYS(result.out, "Speed: ");
  EXPECT_SAYS(result.err, "4 images");
}

TEST_F(ValCommand, MeasuresImagesInTiles) {
  const ProgramResult tiled =
      val({"--tile", "64", "--overlap", "0.25", "--json", "--model", "model.safetensors", "--data", "data"});
  ASSERT_EQ(tiled.code, 0) << tiled.err;
  EXPECT_EQ(nlohmann::json::parse(tiled.out).at("images"), 4);
  // A tile as large as the images is the image: at one size the same boxes, so the same COCO numbers.
  const ProgramResult one = val({"--tile", "96", "--json", "--model", "model.safetensors", "--data", "data"});
  const ProgramResult whole = val({"--json", "--model", "model.safetensors", "--data", "data"});
  EXPECT_EQ(nlohmann::json::parse(one.out).at("coco"), nlohmann::json::parse(whole.out).at("coco"));
}

// Those that a model was trained on are the default, in every form of it.
TEST_F(ValCommand, TakesTheTilesOfTheModel) {
  model::TrainedModel trained = model::load_trained(folder_ / "model.safetensors");
  trained.model.tiles = {64, 0.25};
  model::save_checkpoint(folder_ / "tiled.safetensors", trained.model, trained.weights);
  testing::ProgramOptions here;
  here.folder = folder_.path();
  ASSERT_EQ(run_program({"export", "tiled.safetensors", "-o", "tiled.onnx", "--imgsz", "96"}, here).code, 0);
  const ProgramResult deployed =
      run_program({"deploy", "tiled.safetensors", "-o", "deployed.safetensors", "--imgsz", "96"}, here);
  ASSERT_EQ(deployed.code, 0) << deployed.out << deployed.err;
  const std::string note =
      " was trained on tiles of 64 px, so images are cut into these, overlap 0.25; --tile 0 leaves them "
      "whole";
  const auto found = [&](const std::string& model, std::vector<std::string> more, bool says) {
    more.insert(more.begin(), {"predict", model, "--source", "data/images/val", "--no-save", "--json",
                               "--conf", "0", "--imgsz", "96"});
    const ProgramResult result = run_program(more, here);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(says, result.err.find(model + note) != std::string::npos) << result.err;
    return result.out;
  };
  const std::string tiled = found("model.safetensors", {"--tile", "64", "--overlap", "0.25"}, false);
  const std::string whole = found("model.safetensors", {}, false);
  ASSERT_NE(tiled, whole);
  EXPECT_EQ(found("tiled.safetensors", {}, true), tiled);
  EXPECT_EQ(found("tiled.safetensors", {"--tile", "0"}, false), whole);
  EXPECT_EQ(found("tiled.safetensors", {"--tile", "64"}, false), tiled);
  for (const char* form : {"tiled.onnx", "deployed.safetensors"})
    EXPECT_NE(found(form, {}, true), found(form, {"--tile", "0"}, false)) << form;
  const ProgramResult measured = val({"--model", "tiled.safetensors", "--data", "data"});
  EXPECT_EQ(measured.code, 0) << measured.err;
  EXPECT_SAYS(measured.err, "tiled.safetensors" + note);
}

TEST_F(ValCommand, ChoosesThresholdsThatPredictTakes) {
  const ProgramResult chosen =
      val({"--thresholds", "chosen.safetensors", "--model", "model.safetensors", "--data", "data"});
  ASSERT_EQ(chosen.code, 0) << chosen.err;
  EXPECT_SAYS(chosen.out, "Threshold");
  model::TrainedModel with = model::load_trained(folder_ / "chosen.safetensors");
  ASSERT_EQ(with.model.thresholds.size(), 3u);
  EXPECT_TRUE(model::load_trained(folder_ / "model.safetensors").model.thresholds.empty());
  // Nothing exceeds 1; --conf wins over what the model holds.
  with.model.thresholds = {1, 1, 1};
  model::save_checkpoint(folder_ / "none.safetensors", with.model, with.weights);
  testing::ProgramOptions here;
  here.folder = folder_.path();
  const auto found = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"predict", "none.safetensors", "--source", "data/images/val", "--no-save", "--json"});
    const ProgramResult result = run_program(more, here);
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out.substr(0, result.out.find('\n'))).at("detections").size();
  };
  EXPECT_EQ(found({}), 0u);
  EXPECT_GT(found({"--conf", "0"}), 0u);
  const ProgramResult over =
      val({"--thresholds", "model.safetensors", "--model", "model.safetensors", "--data", "data"});
  EXPECT_EQ(over.code, 2);
  EXPECT_SAYS(over.err, "model.safetensors: this is the file that is read, and would be lost");
}

TEST_F(ValCommand, WarnsWhereNothingIsToBeFound) {
  const testing::fs::path labels = folder_ / "data/labels/val";
  for (const auto& entry : testing::fs::directory_iterator(labels)) testing::write_text(entry.path(), "");
  const std::vector<std::string> arguments = {"--model", "model.safetensors", "--data", "data"};
  const ProgramResult empty = val(arguments);
  EXPECT_EQ(empty.code, 0) << empty.err;
  EXPECT_SAYS(
      empty.err,
      "WARNING: data/data.yaml: split 'val' has no objects: the label files of all its 4 images are empty");
  testing::fs::rename(labels, folder_ / "data/labels/elsewhere");
  EXPECT_SAYS(val(arguments).err, "no label file was found. The labels of data/images/val/");
}

TEST_F(ValCommand, JsonIsOneObjectOnStdout) {
  for (const std::vector<std::string>& rect :
       {std::vector<std::string>{}, {"--rect"}, {"--rect", "false"}, {"--rect=true"}, {"--no-rect"}}) {
    std::vector<std::string> arguments = {"--json",  "--model", "model.safetensors", "--data", "data",
                                          "--split", "train"};
    arguments.insert(arguments.begin(), rect.begin(), rect.end());
    const ProgramResult result = val(arguments);
    ASSERT_EQ(result.code, 0) << result.err;
    const auto report = nlohmann::json::parse(result.out);
    EXPECT_EQ(report.at("images"), 4);
    EXPECT_EQ(report.at("coco").size(), 12u);
    for (const char* key : {"map50", "map50_95", "per_class", "speed_ms"})
      EXPECT_TRUE(report.contains(key)) << key;
  }
}

TEST_F(ValCommand, TakesTheSettingForBoxesWithoutSuppression) {
  EXPECT_SAYS(val({"model=model.safetensors", "data=data", "nms=False"}).err, "no end-to-end head");
}

TEST_F(ValCommand, SavesPredictions) {
  const ProgramResult result =
      val({"--model", "model.safetensors", "--data", "data", "--save-json", "--conf", "0.1"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto predictions =
      nlohmann::json::parse(testing::read_text(folder_ / "runs/detect/val/predictions.json"));
  ASSERT_FALSE(predictions.empty());
  for (const char* key : {"image_id", "category_id", "bbox", "score"})
    EXPECT_TRUE(predictions[0].contains(key)) << key;
}

TEST_F(ValCommand, PredictionsHaveTheNumbersOfCocosFile) {
  const model::Model model =
      model::make_model("yolov8n", {}, {.names = {"star", "disc", "square"}});  // the data: disc, ...
  model::save_checkpoint(folder_ / "other.safetensors", model, randomize(model.graph, 3));
  testing::ProgramOptions here;
  here.folder = folder_.path();
  ASSERT_EQ(run_program({"data", "convert", "data", "coco", "--to", "coco"}, here).code, 0);
  std::filesystem::path file;
  for (const auto& entry : testing::fs::directory_iterator(folder_ / "coco/annotations"))
    if (entry.path().string().find("val") != std::string::npos) file = entry.path();
  auto annotations = nlohmann::json::parse(testing::read_text(file));
  std::map<std::string, int64_t> ids;
  std::set<int64_t> categories;
  for (auto& image : annotations.at("images")) {
    const int64_t id = image.at("id").get<int64_t>() + 5000;
    ids[testing::fs::path(image.at("file_name").get<std::string>()).filename()] = id;
    image["id"] = id;
  }
  for (auto& category : annotations.at("categories")) {
    category["id"] = category.at("id").get<int64_t>() * 10 + 200;
    categories.insert(category.at("id").get<int64_t>());
  }
  for (auto& object : annotations.at("annotations")) {
    object["image_id"] = object.at("image_id").get<int64_t>() + 5000;
    object["category_id"] = object.at("category_id").get<int64_t>() * 10 + 200;
  }
  testing::write_text(file, annotations.dump());
  const ProgramResult result =
      val({"--model", "other.safetensors", "--data", "coco", "--save-json", "--conf", "0.1"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto predictions =
      nlohmann::json::parse(testing::read_text(folder_ / "runs/detect/val/predictions.json"));
  ASSERT_FALSE(predictions.empty());
  for (const auto& prediction : predictions) {
    EXPECT_EQ(prediction.at("image_id"), ids.at(prediction.at("file_name")));
    EXPECT_TRUE(categories.contains(prediction.at("category_id").get<int64_t>())) << prediction;
  }
}

TEST_F(ValCommand, MatchesClassesByNameInAnotherOrder) {
  const auto map_of = [&](const std::string& data, const std::string& note) {
    const ProgramResult result = val({"--model", "model.safetensors", "--data", data, "--json"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err.find("matched by name") != std::string::npos, !note.empty()) << result.err;
    const auto report = nlohmann::json::parse(result.out);
    return std::pair(report.at("per_class"), report.at("coco"));
  };
  const auto expected = map_of("data", "");
  // The same boxes under the names star, disc, square.
  testing::fs::copy(folder_ / "data", folder_ / "turned", testing::fs::copy_options::recursive);
  for (const char* split : {"train", "val"})
    for (const auto& entry : testing::fs::directory_iterator(folder_ / "turned/labels" / split)) {
      if (entry.path().extension() != ".txt") continue;
      std::string text;
      for (std::string line : testing::lines_of(testing::read_text(entry.path()))) {
        line[0] = static_cast<char>('0' + (line[0] - '0' + 1) % 3);
        text += line + "\n";
      }
      testing::write_text(entry.path(), text);
    }
  testing::write_text(folder_ / "turned/data.yaml",
                      "train: images/train\nval: images/val\nnames: [star, disc, square]\n");
  EXPECT_EQ(map_of("turned", "by name"), expected);
}

TEST_F(ValCommand, LeavesImagesUnlessTold) {
  ProgramResult result =
      val({"--model", "model.safetensors", "--data", "data", "--plots", "--name", "drawn"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "Results saved to runs/detect/drawn");
  for (const char* name : {"val_batch0_labels.jpg", "val_batch0_pred.jpg", "BoxPR_curve.png"})
    EXPECT_TRUE(testing::fs::exists(folder_ / "runs/detect/drawn" / name)) << name << "\n" << result.err;

  result = val({"--model", "model.safetensors", "--data", "data"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_FALSE(testing::fs::exists(folder_ / "runs/detect/val"));
}

TEST_F(ValCommand, MeasuresEvenWhereNothingCanBeWritten) {
  testing::write_text(folder_ / "runs", "a file where the folder should be");
  const ProgramResult result = val({"--model", "model.safetensors", "--data", "data", "--plots", "true"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.err, "no images");
  EXPECT_SAYS(result.out, "mAP50-95)");
}

TEST_F(ValCommand, MeasuresClassifiersOnFoldersOfClasses) {
  testing::write_classifier(folder_ / "classes.safetensors", 2);
  for (const char* name : {"cat", "dog"}) {
    for (const char* split : {"train", "val"})
      testing::fs::create_directories(folder_ / "sorted" / split / name);
    testing::fs::copy(folder_ / "data/images/train/000000.jpg", folder_ / "sorted/train" / name / "a.jpg");
    testing::fs::copy(folder_ / "data/images/train/000001.jpg", folder_ / "sorted/val" / name / "b.jpg");
  }
  testing::write_text(folder_ / "sorted/val/dog/broken.jpg", "no image");
  const ProgramResult result = val({"--model", "classes.safetensors", "--data", "sorted", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report.at("images"), 2);
  EXPECT_EQ(report.at("top5"), 1.0);
  EXPECT_EQ(report.at("top1"), 0.5);  // the same image in both classes
  EXPECT_SAYS(result.err, "broken.jpg");
  EXPECT_SAYS(result.err, "1 of 3 images could not be read");
  EXPECT_EQ(report.at("per_class").size(), 2u);
  EXPECT_EQ(report.at("confusion_matrix").size(), 2u);
  EXPECT_TRUE(report.at("speed_ms").contains("inference"));
  const ProgramResult train =
      val({"--model", "classes.safetensors", "--data", "sorted", "--split", "train", "--batch", "1"});
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_SAYS(train.out, "                   all          2        0.5          1");
  EXPECT_SAYS(train.out, "Speed: ");
}

TEST_F(ValCommand, SaysWhatDoesNotFit) {
  testing::write_detector(folder_ / "others.safetensors", "yolov8n");
  const model::Model two = model::make_model("yolov8n", {}, {.names = {"a", "b"}});
  model::save_checkpoint(folder_ / "two.safetensors", two, randomize(two.graph, 3));
  ProgramResult result = val({"--model", "two.safetensors", "--data", "data"});
  EXPECT_EQ(result.code, 2);
  EXPECT_SAYS(result.err, "two.safetensors: 2 classes, but data has 3");
  result = val({"--model", "model.safetensors", "--data", "data", "--split", "tset"});
  EXPECT_EQ(result.code, 2);
  EXPECT_SAYS(result.err, "val");
  result = val({"--model", "nowhere.safetensors", "--data", "data"});
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "nowhere.safetensors");
  result = val({"--model", "others.safetensors", "--data", "data"});
  EXPECT_EQ(result.code, 0);
  EXPECT_SAYS(result.err, "matched by number");
}

TEST(TrainCommand, ChecksItsOptionsWithoutTraining) {
  const ProgramResult result = run_program({"train", "--lr0", "fast"});
  EXPECT_EQ(result.code, 2);
  EXPECT_SAYS(result.err, "--lr0: 'fast' is not a number");
}

TEST(TrainCommand, WantsAnImageSet) {
  const ProgramResult result = run_program({"train", "--lr0", "0.1"});
  EXPECT_EQ(result.code, 2);
  EXPECT_SAYS(result.err, "--data is missing");
}

TEST(TrainCommand, SaysWhatTrainsOnCuda) {
  const ProgramResult result = run_program({"train", "--device", "cuda:7", "--data", "none.yaml"});
  EXPECT_NE(result.code, 0);
  // Of this program, or of the other one where it is built.
  EXPECT_SAYS(result.err, "device 'cuda:7'");
}

TEST(TrainCommand, GoesOnWhereTheRunBegan) {
  const testing::TemporaryFolder folder;
  testing::write_text(folder / "args.yaml",
                      "model: yolov8n\ndata: " + (folder / "data.yaml").string() + "\ndevice: cuda:7\n");
  testing::write_text(folder / "data.yaml", "train: .\nval: .\nnames: [a]\n");
  const ProgramResult result = run_program({"train", "--resume", folder.path().string()});
  EXPECT_NE(result.code, 0);
  EXPECT_SAYS(result.err, "device 'cuda:7'");
}

}  // namespace
}  // namespace marrow::apps
