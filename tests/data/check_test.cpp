#include "marrow/data/tools/check.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "marrow/data/dataset_split.h"
#include "marrow/data/tools/check_sheet.h"
#include "marrow/image/decode.h"
#include "support.h"
#include "support/expect_says.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using Kind = Problem::Kind;
using Severity = Problem::Severity;

class DataCheck : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    write_picture("images/train/a.png", 1, 640, 640);
    write_picture("images/val/b.png", 2, 320, 160);
    write("labels/train/a.txt", "0 .5 .5 .5 .5\n1 .1 .1 .01 .02\n");
    write("labels/val/b.txt", "1 .5 .5 .1 .1\n0 .5 .5 .2 .2\n");
    write("data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n");
  }
  DatasetCheck check(CheckOptions options = {}) {
    dataset_ = read_dataset(folder_ / "data.yaml");
    return check_dataset(dataset_, options);
  }
  // "severity place: message", without the folder.
  std::vector<std::string> problems(const DatasetCheck& check, Kind kind) {
    std::vector<std::string> result;
    for (const Problem& problem : check.problems) {
      if (problem.kind != kind) continue;
      std::string text = std::string(severity_name(problem.severity)) + " " + problem.text();
      for (size_t at; (at = text.find(folder_.string() + "/")) != std::string::npos;)
        text.erase(at, folder_.string().size() + 1);
      result.push_back(text);
    }
    return result;
  }
  using Texts = std::vector<std::string>;
  Dataset dataset_;
};

TEST_F(DataCheck, ASoundDatasetHasNoProblems) {
  const DatasetCheck result = check();
  EXPECT_EQ(result.problems, std::vector<Problem>{});
  ASSERT_EQ(result.splits.size(), 2u);
  EXPECT_EQ(result.splits[0].objects, 2);
  EXPECT_EQ(result.splits[1].class_objects, (std::vector<int64_t>{1, 1}));
  // At 640: 320 and 6.4; 32 and 64 (of the upper limits, the next class).
  EXPECT_EQ(result.splits[0].box_sizes, (std::vector<int64_t>{1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(result.splits[1].box_sizes, (std::vector<int64_t>{0, 0, 0, 1, 1, 0}));
}

TEST_F(DataCheck, EveryKindOfProblemIsFound) {
  write("images/train/broken.png", "no image");
  const std::string png = image::encode_png(image::draw_scene(64, 64, 9).pixels());
  write("images/train/cut.png", png.substr(0, png.size() / 2));  // whole headers, half the pixels
  const std::string jpeg = image::encode_jpeg(image::draw_scene(64, 64, 10).pixels());
  write("images/train/grey.jpg", jpeg.substr(0, jpeg.size() / 2));
  write("labels/train/rows.txt", "0 .5 .5 .1 .1\n0 .5 .5\n5 .5 .5 .1 .1\n0 .99 .5 .5 1.2\n");
  write_picture("images/train/rows.png", 11);
  write_picture("images/train/twin.png", 11);
  write_picture("images/val/leak.png", 1, 640, 640);
  write("labels/val/b.txt", "0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n0 .5 .5 0 .2\n");
  write("labels/val/nobody.txt", "");
  write("data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog, eel]\n");
  const DatasetCheck result = check();
  EXPECT_EQ(problems(result, Kind::kBrokenImage).size(), 3u);
  EXPECT_EQ(problems(result, Kind::kBrokenImage)[0],
            "error images/train/broken.png: not an image: neither JPEG, PNG, WebP, BMP nor TIFF");
  EXPECT_NE(problems(result, Kind::kBrokenImage)[1].find("error images/train/cut.png: broken PNG"),
            std::string::npos);
  EXPECT_NE(problems(result, Kind::kBrokenImage)[2].find("warning images/train/grey.jpg: damaged JPEG"),
            std::string::npos);
  EXPECT_EQ(problems(result, Kind::kLabelSyntax),
            (Texts{"error labels/train/rows.txt:2: 3 columns; a row is: class cx cy w h"}));
  EXPECT_EQ(problems(result, Kind::kUnknownClass),
            (Texts{"error labels/train/rows.txt:3: class 5, but the dataset has 3 classes (0..2)"}));
  EXPECT_EQ(problems(result, Kind::kOutside).size(), 1u);
  EXPECT_EQ(problems(result, Kind::kDuplicateImage),
            (Texts{"warning images/train/twin.png: the same image as images/train/rows.png"}));
  EXPECT_EQ(problems(result, Kind::kOverlap),
            (Texts{"error images/val/leak.png: the same image as images/train/a.png of split 'train'"}));
  EXPECT_EQ(problems(result, Kind::kDuplicateLabel).size(), 1u);
  EXPECT_EQ(problems(result, Kind::kZeroArea),
            (Texts{"warning labels/val/b.txt:3: a box without area; dropped"}));
  EXPECT_EQ(problems(result, Kind::kOrphanLabel),
            (Texts{"warning labels/val/nobody.txt: there is no image for this label file"}));
  EXPECT_EQ(problems(result, Kind::kUnusedClass),
            (Texts{"warning data.yaml: class 1 'dog' has no objects in split 'val'",
                   "warning data.yaml: class 2 'eel' has no objects"}));
  EXPECT_EQ(result.errors, 6);
  EXPECT_EQ(result.splits[0].usable, 3);
}

// As thermal cameras give.
TEST_F(DataCheck, DepthThatIsLostIsWarnedOf) {
  const auto write_wide = [&](const std::string& name, int low, int step) {
    image::Image image(40, 30, 0, {1, 16});
    for (int y = 0; y < 30; ++y)
      for (int x = 0; x < 40; ++x) image.samples<uint16_t>(y)[x] = static_cast<uint16_t>(low + step * x);
    write("in/images/train/" + name + ".tif", image::encode_tiff(image.pixels()));
    write("in/labels/train/" + name + ".txt", "0 .5 .5 .4 .4\n");
  };
  const auto said = [&](const std::string& more) {
    write("in/data.yaml", "train: images/train\nval: images/train\nnames: [cat]\n" + more);
    std::string text;
    for (const Problem& problem : check_dataset(read_dataset(folder_ / "in"), {}).problems)
      text += problem.text() + "\n";
    return text;
  };
  write_wide("a", 3000, 10);
  write_wide("b", 3100, 20);
  EXPECT_SAYS(said(""),
              "split 'train': images of 16 bits with values from 3000 to 3880, read as 8 bits, have 4 levels "
              "left. 'bits: 16' and 'range: [3000, 3880]' keep what they hold");
  EXPECT_EQ(said("channels: 1\nbits: 16\nrange: [3000, 3880]\n").find("levels left"), std::string::npos);
  write_wide("c", 100, 1500);
  EXPECT_EQ(said("").find("levels left"), std::string::npos) << "of the whole range enough are left";
}

TEST_F(DataCheck, LabelsOfOtherSplitsAreNoOrphans) {
  write_picture("images/c.png", 3);
  write_picture("images/d.png", 4);
  write("labels/c.txt", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n");
  write("labels/d.txt", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n");
  write("train.txt", "./images/c.png\n");
  write("val.txt", "./images/d.png\n");
  write("data.yaml", "train: train.txt\nval: val.txt\nnames: [cat, dog]\n");
  EXPECT_EQ(check().problems, std::vector<Problem>{});
}

TEST_F(DataCheck, ASplitThatCannotBeReadIsAProblem) {
  write("data.yaml", "train: images/train\nval: images/absent\nnames: [cat, dog]\n");
  const DatasetCheck result = check();
  EXPECT_EQ(result.errors, 1);
  EXPECT_EQ(problems(result, Kind::kOther).size(), 1u);
}

TEST_F(DataCheck, ReportsForPeopleAndMachines) {
  write("labels/train/a.txt", "0 .5 .5\n");
  const DatasetCheck result = check({.image_size = 320});
  const std::string text = check_text(dataset_, result, 320);
  EXPECT_NE(text.find("labels/train/a.txt:1: 3 columns"), std::string::npos) << text;
  EXPECT_NE(text.find("1 error, 0 warnings\n"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(check_json(dataset_, result, 320));
  EXPECT_EQ(json["errors"], 1);
  EXPECT_EQ(json["splits"][1]["objects"], 2);
  EXPECT_EQ(json["splits"][1]["box_sizes"]["16 to 32"], 1);
  EXPECT_EQ(json["problems"][0]["kind"], "label_syntax");
}

TEST_F(DataCheck, TheSheetShowsTheBoxes) {
  check({.sheet = folder_ / "sheet.png"});
  const image::Image sheet = image::decode_image_file(folder_ / "sheet.png").image;
  EXPECT_EQ(sheet.width(), 320 + 4 + 320);
  EXPECT_EQ(sheet.height(), 320);
  // The left edge of cat's box in the first image: a quarter of 320 from the tile's left.
  const auto edge = sheet.row(160) + 80 * 3;
  EXPECT_NEAR(edge[2], 0xe6, 3);
  EXPECT_NEAR(edge[1], 0x19, 3);
}

TEST_F(DataCheck, FoldersOfClassesAreCounted) {
  const fs::path root = folder_ / "sorted";
  for (const char* name : {"train/cat/a.png", "train/cat/b.png", "train/dog/c.png", "val/cat/d.png"})
    write_picture(std::string("sorted/") + name, static_cast<uint64_t>(name[std::string(name).size() - 5]));
  write("sorted/train/dog/broken.png", "no image");
  fs::create_directories(root / "train/emu");
  dataset_ = read_dataset(root);
  const DatasetCheck result = check_dataset(dataset_, {.sheet = folder_ / "sheet.png"});
  ASSERT_EQ(result.splits.size(), 2u);
  EXPECT_EQ(result.splits[0].listed, 4);
  EXPECT_EQ(result.splits[0].usable, 3);
  EXPECT_EQ(result.splits[0].class_objects, (std::vector<int64_t>{2, 1, 0}));
  EXPECT_EQ(problems(result, Kind::kBrokenImage),
            Texts{"error sorted/train/dog/broken.png: not an image: neither JPEG, PNG, WebP, BMP nor TIFF"});
  EXPECT_EQ(problems(result, Kind::kUnusedClass),
            (Texts{"warning sorted: class 1 'dog' has no images in split 'val'",
                   "warning sorted: class 2 'emu' has no images"}));
  EXPECT_TRUE(fs::exists(folder_ / "sheet.png"));
  const std::string text = check_text(dataset_, result, 640);
  EXPECT_NE(text.find("(images, share)"), std::string::npos) << text;
  EXPECT_EQ(text.find("boxes"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(check_json(dataset_, result, 640));
  EXPECT_FALSE(json["splits"][0].contains("box_sizes"));
}

}  // namespace
}  // namespace marrow::data
