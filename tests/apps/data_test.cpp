// `marrow data` as a process.
#include <gtest/gtest.h>

#include "apps/program.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

class DataCommand : public ::testing::Test {
 protected:
  ProgramResult data(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "data");
    testing::ProgramOptions here;
    here.folder = folder_.path();
    return run_program(arguments, here);
  }
  const testing::TemporaryFolder folder_;
};

TEST_F(DataCommand, DrawsChecksAndConverts) {
  const ProgramResult synth =
      data({"synth", "shapes", "--images", "6", "--imgsz", "64", "--classes", "disc,star"});
  EXPECT_EQ(synth.code, 0) << synth.err;
  EXPECT_SAYS(synth.out, "shapes: 5 images to train on, 1 to validate");
  const ProgramResult check = data({"check", "shapes", "--json"});
  EXPECT_EQ(check.code, 0) << check.err;
  const auto report = nlohmann::json::parse(check.out);
  EXPECT_EQ(report["splits"][0]["images"], 5);
  EXPECT_TRUE(testing::fs::exists(folder_ / "runs/data/check/labels.png"));
  for (const char* format : {"coco", "voc"}) {
    const ProgramResult there = data({"convert", "shapes", format, "--to", format, "--images", "symlink"});
    EXPECT_EQ(there.code, 0) << there.err;
    EXPECT_SAYS(there.out, "6 images");
    const std::string back = std::string(format) + "-yolo";
    EXPECT_EQ(data({"convert", format, back, "--to", "yolo"}).code, 0);
    // VOC keeps all splits in one folder, where two files cannot have one name.
    const std::string name = std::string(format) == "voc" ? "000000_2.txt" : "000000.txt";
    EXPECT_EQ(testing::read_text(folder_ / back / "labels/val" / name),
              testing::read_text(folder_ / "shapes/labels/val/000000.txt"));
  }
}

TEST_F(DataCommand, SaysWhatIsLeftOutBesideBoxes) {
  const auto converted = [&](const std::string& in, const std::string& to,
                             const std::vector<std::string>& more = {}) {
    testing::fs::remove_all(folder_ / "out");
    std::vector<std::string> words = {"convert", in, "out", "--to", to};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult result = data(words);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  };
  for (const std::string task : {"segment", "pose", "obb"}) {
    ASSERT_EQ(data({"synth", task, "--images", "4", "--imgsz", "64", "--task", task}).code, 0) << task;
    EXPECT_EQ(converted(task, "coco", {"--task", task}).find("left out"), std::string::npos) << task;
    testing::fs::rename(folder_ / "out", folder_ / (task + "-coco"));
    for (const std::string& from : {task, task + "-coco"}) {
      const std::string as_boxes = converted(from, "yolo");
      EXPECT_SAYS(as_boxes, "left out; --task " + task + " keeps them");
      EXPECT_SAYS(converted(from, "voc"), "left out; VOC's format has boxes alone");
      EXPECT_EQ(converted(from, "yolo", {"--task", task}).find("left out"), std::string::npos) << from;
    }
  }
  EXPECT_EQ(converted("segment-coco", "yolo", {"--polygons"}).find("left out"), std::string::npos);
}

TEST_F(DataCommand, ErrorsOfTheDatasetGiveExitCodeOne) {
  ASSERT_EQ(data({"synth", "shapes", "--images", "4", "--imgsz", "64"}).code, 0);
  testing::write_text(folder_ / "shapes/labels/train/000001.txt", "77 .5 .5 .1 .1\n");
  const ProgramResult check = data({"check", "shapes"});
  EXPECT_EQ(check.code, 1);
  EXPECT_SAYS(check.out,
              "error: shapes/labels/train/000001.txt:1: class 77, but the dataset has 6 classes (0..5)");
  EXPECT_EQ(data({"convert", "shapes", "out", "--to", "coco"}).code, 1);
}

TEST_F(DataCommand, ChecksAndShowsFoldersOfClasses) {
  ASSERT_EQ(data({"synth", "shapes", "--images", "4", "--imgsz", "64"}).code, 0);
  for (const std::string place : {"train/cat", "train/dog", "val/cat", "val/dog"}) {
    testing::fs::create_directories(folder_ / "sorted" / place);
    const std::string picture = place.ends_with("cat") ? "000000.jpg" : "000001.jpg";
    testing::fs::copy(folder_ / "shapes/images/train" / picture, folder_ / "sorted" / place / picture);
  }
  const ProgramResult check = data({"check", "sorted"});
  EXPECT_EQ(check.code, 1);  // the same images in both splits
  EXPECT_SAYS(check.out, "the same image as sorted/train/cat/000000.jpg of split 'train'");
  EXPECT_SAYS(check.out, "(images, share)");
  EXPECT_SAYS(check.out, "images with their classes and this report: runs/data/check");
  const ProgramResult show = data({"show", "sorted"});
  EXPECT_EQ(show.code, 0) << show.err;
  EXPECT_SAYS(show.out, "2 images of 224x224, 2 classes");
  EXPECT_TRUE(testing::fs::exists(folder_ / "runs/data/show/train_epoch0_batch0.png"));
  EXPECT_SAYS(data({"show", "sorted", "--val", "--imgsz", "64"}).out, "2 images of 64x64, 2 classes");
  EXPECT_SAYS(data({"show", "sorted", "--rect"}).err, "a classifier, which sees squares");
}

TEST_F(DataCommand, SplitsAndMerges) {
  ASSERT_EQ(data({"synth", "shapes", "--images", "20", "--imgsz", "64", "--classes", "disc,star"}).code, 0);
  const ProgramResult split = data({"split", "shapes", "divided", "--val", "0.3", "--test", "0.2"});
  EXPECT_EQ(split.code, 0) << split.err;
  EXPECT_SAYS(split.out, "shapes (yolo) -> divided (yolo)\ntrain ");
  EXPECT_SAYS(split.out, "\ntest ");
  const auto report = nlohmann::json::parse(data({"check", "divided", "--json"}).out);
  ASSERT_EQ(report["splits"].size(), 3u);
  int images = 0;
  for (const auto& each : report["splits"]) images += each["images"].get<int>();
  EXPECT_EQ(images, 20);
  const ProgramResult merged =
      data({"merge", "all", "shapes", "divided", "--map", "disc=ball,star=", "--to", "coco"});
  EXPECT_EQ(merged.code, 0) << merged.err;
  EXPECT_SAYS(merged.out, "shapes + divided -> all (coco): 40 images, ");
  EXPECT_SAYS(merged.out, "of 1 class");
  EXPECT_SAYS(testing::read_text(folder_ / "all/data.yaml"), "0: \"ball\"");
  EXPECT_SAYS(data({"merge", "more", "shapes", "--map", "dsic=x"}).err, "Did you mean 'disc'?");
  EXPECT_EQ(data({"merge", "more", "shapes", "--map", "disc"}).code, 2);
}

TEST_F(DataCommand, ListsLabelsThatAModelDisagreesWith) {
  ASSERT_EQ(data({"synth", "shapes", "--images", "4", "--imgsz", "64", "--classes", "disc,star,ring"}).code,
            0);
  const testing::fs::path model = testing::write_detector(folder_ / "a.safetensors");
  const ProgramResult suspects =
      data({"suspects", model.string(), "--data", "shapes", "--imgsz", "64", "--sure", "0.01", "--json"});
  EXPECT_EQ(suspects.code, 0) << suspects.err;
  const auto list = nlohmann::json::parse(suspects.out);
  ASSERT_FALSE(list.empty());
  double last = 1;
  for (const auto& each : list) {
    EXPECT_LE(each["score"].get<double>(), last);
    last = each["score"];
    EXPECT_EQ(each["box"].size(), 4u);
  }
  for (const char* file : {"suspects.txt", "suspects.json", "suspects.jpg"})
    EXPECT_TRUE(testing::fs::exists(folder_ / "runs/data/suspects" / file)) << file;
  const ProgramResult tiled = data({"suspects", model.string(), "--data", "shapes", "--imgsz", "64", "--sure",
                                    "0.01", "--json", "--tile", "32"});
  EXPECT_EQ(tiled.code, 0) << tiled.err;
  EXPECT_NE(tiled.out, suspects.out);
  EXPECT_FALSE(nlohmann::json::parse(tiled.out).empty());
}

TEST_F(DataCommand, ShowsBatchesOfTiles) {
  ASSERT_EQ(data({"synth", "shapes", "--images", "4", "--imgsz", "96"}).code, 0);
  EXPECT_SAYS(data({"show", "shapes", "--val", "--batch", "4"}).out, "val_epoch0_batch0.png");
  const ProgramResult shown = data({"show", "shapes", "--tile", "48", "--overlap", "0.25", "--batch", "4"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_SAYS(shown.err, "tiles of 48 px, ");
  EXPECT_SAYS(shown.out, "train_epoch0_batch0.png: 4 images of 64x64, ");
}

TEST_F(DataCommand, MistakesAreUsageErrors) {
  const auto expect_refused = [&](std::vector<std::string> arguments, int code, const std::string& says) {
    const ProgramResult result = data(std::move(arguments));
    EXPECT_EQ(result.code, code);
    EXPECT_EQ(result.out, "");
    EXPECT_SAYS(result.err, says);
  };
  expect_refused({}, 2, "'marrow data --help'");
  expect_refused({"chekc", "x"}, 2, "unknown command of 'marrow data' 'chekc'. Did you mean 'check'?");
  expect_refused({"check", "--jsn", "x"}, 2,
                 "unknown option of 'marrow data check' '--jsn'. Did you mean '--json'?");
  expect_refused({"check", "absent.yaml"}, 1, "absent.yaml: no such dataset");
  expect_refused({"convert", "a", "b", "--to", "csv"}, 2, "--to");
  expect_refused({"synth", "out", "--classes", "disk"}, 2, "unknown shape 'disk'. Did you mean 'disc'?");
}

}  // namespace
}  // namespace marrow::apps
