// Regions to ignore: how each format says them, that they are no objects, and that they survive being
// written.
#include "marrow/base/files.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/no_objects.h"
#include "marrow/data/tools/check.h"
#include "marrow/data/tools/check_sheet.h"
#include "marrow/data/tools/convert.h"
#include "marrow/data/tools/divide.h"
#include "marrow/data/tools/merge.h"
#include "support.h"
#include "support/expect_says.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using Reason = IgnoredLabel::Reason;
using Names = std::vector<std::string>;
using testing::message_of;

class Ignore : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    write_picture("images/train/a.png", 1);
    write_picture("images/train/b.png", 2);
    write("labels/train/a.txt", "2 .5 .5 .25 .5\n1 .25 .5 .5 1\n0 .1 .1 .2 .2\n");
    write("labels/train/b.txt", "1 .5 .5 1 1\n");
    write("data.yaml", "train: images/train\nval: images/train\nnames: [cat, Ignore, dog]\n");
  }
  Dataset read(const fs::path& file) { return read_dataset(folder_ / file); }
  static std::vector<LabelledImage> images(const Dataset& dataset, const std::string& split = "train") {
    return load_split(dataset, split, {.use_cache = false}).images;
  }
  // One image: a cat, and regions that are a crowd of cats, a difficult dog and of the class `ignore`.
  fs::path write_coco() {
    write_picture("coco/a.png", 3);
    return write("coco/a.json", R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [
      {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 10]},
      {"id": 2, "image_id": 1, "category_id": 1, "bbox": [20, 0, 20, 10], "iscrowd": 1},
      {"id": 3, "image_id": 1, "category_id": 3, "bbox": [0, 10, 20, 10], "difficult": 1},
      {"id": 4, "image_id": 1, "category_id": 2, "bbox": [20, 10, 20, 10]}],
      "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "IGNORE"}, {"id": 3, "name": "dog"}]})");
  }
};

const IgnoredLabel kCorner = {{kIgnoreClass, {.75, .75, .5, .5}}, Reason::kClass};

TEST_F(Ignore, YoloRowsOfTheClassAreRegions) {
  const Dataset dataset = read("data.yaml");
  EXPECT_EQ(dataset.names, (Names{"cat", "dog"}));
  ASSERT_EQ(dataset.notes.size(), 1u);
  EXPECT_SAYS(
      dataset.notes[0],
      "data.yaml: boxes of class 1 'Ignore' are regions to ignore, not objects; the classes behind it "
      "are counted from 1");
  const auto all = images(dataset);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].labels, (std::vector<Label>{{1, .5, .5, .25, .5}, {0, .1, .1, .2, .2}}));
  EXPECT_EQ(all[0].ignored, (std::vector<IgnoredLabel>{{{kIgnoreClass, {.25, .5, .5, 1}}, Reason::kClass}}));
  EXPECT_TRUE(all[1].labels.empty());
  EXPECT_EQ(all[1].ignored.size(), 1u);
}

TEST_F(Ignore, YoloPolygonsOfTheClassAreTheirBounds) {
  write("labels/train/a.txt", "2 .1 .1 .5 .1 .5 .5\n1 0 0 .5 0 .25 .5\n");
  const LabelledImage image = images(read("data.yaml")).at(0);
  ASSERT_EQ(image.polygons.size(), 1u);
  EXPECT_EQ(image.polygons[0], (Polygon{{.1, .1}, {.5, .1}, {.5, .5}}));
  EXPECT_EQ(image.ignored, (std::vector<IgnoredLabel>{{{kIgnoreClass, {.25, .25, .5, .5}}, Reason::kClass}}));
}

TEST_F(Ignore, NumbersInMessagesAreThoseOfTheFile) {
  write("labels/train/a.txt", "3 .5 .5 .25 .5\n");
  const SplitLabels labels = load_split(read("data.yaml"), "train", {.use_cache = false});
  ASSERT_EQ(labels.problems.size(), 1u);
  EXPECT_EQ(labels.problems[0].message, "class 3, but the dataset has 3 classes (0..2)");
}

TEST_F(Ignore, NamesWithoutTheClassStayAsTheyAre) {
  write("data.yaml", "train: images/train\nval: images/train\nnames: [cat, ignored, dog]\n");
  const Dataset dataset = read("data.yaml");
  EXPECT_EQ(dataset.names, (Names{"cat", "ignored", "dog"}));
  EXPECT_EQ(dataset.notes, Names{});
  EXPECT_EQ(images(dataset).at(0).labels.size(), 3u);
}

TEST_F(Ignore, TheClassIsThereOnceAndNotAlone) {
  write("data.yaml", "train: images/train\nval: images/train\nnames: [ignore, cat, IGNORE]\n");
  EXPECT_SAYS(message_of([&] { read("data.yaml"); }), "data.yaml: names: 'ignore' is there twice");
  write("data.yaml", "train: images/train\nval: images/train\nnames: [ignore]\n");
  EXPECT_SAYS(message_of([&] { read("data.yaml"); }), "data.yaml: no classes are named besides 'ignore'");
}

TEST_F(Ignore, NamesGivenByHandAreTheRowsNumbers) {
  const Dataset dataset = read_dataset(folder_ / "data.yaml", {"a", "b", "ignore"});
  EXPECT_EQ(dataset.names, (Names{"a", "b"}));
  EXPECT_EQ(images(dataset).at(0).ignored.at(0).label.box.width, .25);
}

TEST_F(Ignore, AFolderOfThatNameIsAClassOfImages) {
  for (const char* split : {"train", "val"})
    for (const char* name : {"ignore", "cat"})
      write_picture(std::string("sorted/") + split + "/" + name + "/a.png");
  EXPECT_EQ(read("sorted").names, (Names{"cat", "ignore"}));
}

TEST_F(Ignore, CocoHasCrowdsDifficultObjectsAndTheCategory) {
  const std::vector<IgnoredLabel> wanted = {
      {{0, {.75, .25, .5, .5}}, Reason::kCrowd}, {{1, {.25, .75, .5, .5}}, Reason::kDifficult}, kCorner};
  const Dataset dataset = read_dataset(write_coco());
  EXPECT_EQ(dataset.names, (Names{"cat", "dog"}));
  const LabelledImage image = images(dataset).at(0);
  EXPECT_EQ(image.labels, (std::vector<Label>{{0, .25, .25, .5, .5}}));
  EXPECT_EQ(image.ignored, wanted);
  EXPECT_EQ(coco_numbers(dataset, "train").categories, (std::vector<int64_t>{1, 3}));
  // Names need not have it.
  const Dataset named = read_dataset(folder_ / "coco/a.json", {"dog"});
  const SplitLabels labels = load_split(named, "train", {.use_cache = false});
  EXPECT_EQ(labels.images.at(0).ignored,
            (std::vector<IgnoredLabel>{{{0, {.25, .75, .5, .5}}, Reason::kDifficult}, kCorner}));
  for (const Problem& problem : labels.problems)
    EXPECT_EQ(problem.message.find("IGNORE"), std::string::npos) << problem.message;
}

TEST_F(Ignore, VocHasDifficultObjectsAndTheName) {
  const auto object = [](const std::string& name, const std::string& more) {
    return "<object><name>" + name + "</name>" + more +
           "<bndbox><xmin>20</xmin><ymin>10</ymin><xmax>40</xmax><ymax>20</ymax></bndbox></object>";
  };
  write_picture("voc/JPEGImages/a.png");
  write("voc/Annotations/a.xml", "<annotation>" + object("dog", "") + object("Ignore", "") +
                                     object("cat", "<difficult>1</difficult>") + "</annotation>");
  for (const Names& names : {Names{}, Names{"cat", "dog"}}) {
    const Dataset dataset = read_dataset(folder_ / "voc", names);
    EXPECT_EQ(dataset.names, (Names{"cat", "dog"}));
    const LabelledImage image = images(dataset).at(0);
    EXPECT_EQ(image.labels, (std::vector<Label>{{1, .75, .75, .5, .5}}));
    EXPECT_EQ(image.ignored,
              (std::vector<IgnoredLabel>{kCorner, {{0, {.75, .75, .5, .5}}, Reason::kDifficult}}));
  }
}

TEST_F(Ignore, ASplitOfRegionsAloneHasNoObjects) {
  write("labels/train/a.txt", "1 .25 .5 .5 1\n");
  const Dataset dataset = read("data.yaml");
  EXPECT_SAYS(no_objects_message(dataset, "train", load_split(dataset, "train", {.use_cache = false})),
              "split 'train' has no objects: all its 2 objects are of the class 'ignore', which is neither "
              "learned nor counted");
}

TEST_F(Ignore, TheCheckCountsAndDrawsThem) {
  const Dataset dataset = read("data.yaml");
  const DatasetCheck check = check_dataset(dataset, {});
  ASSERT_EQ(check.splits.size(), 2u);
  EXPECT_EQ(check.splits[0].ignored, 2);
  EXPECT_EQ(check.splits[0].objects, 2);
  LabelledImage image = images(dataset).at(1);
  const auto sheet = [](const LabelledImage& drawn) {
    return draw_label_sheet(std::vector{&drawn}, Names{"cat", "dog"});
  };
  const image::Image hatched = sheet(image);
  image.ignored.clear();
  EXPECT_FALSE(hatched == sheet(image));
}

// COCO's and VOC's formats keep class and kind of crowds and difficult objects as far as they have them,
// YOLO's has no place for these.
TEST_F(Ignore, EveryFormatKeepsWhatItCan) {
  const fs::path from = write_coco();
  const auto converted = [&](const std::string& out, DatasetFormat format) {
    const ReadSummary summary = convert_dataset(read_dataset(from), folder_ / out, {.to = format});
    EXPECT_EQ(summary.ignored, 2);
    EXPECT_EQ(summary.objects, 1);
    const Dataset dataset = read(out);
    EXPECT_EQ(dataset.names, (Names{"cat", "dog"}));
    EXPECT_EQ(images(dataset).at(0).labels, images(read_dataset(from)).at(0).labels);
    return images(dataset).at(0).ignored;
  };
  const Label crowd = {0, {.75, .25, .5, .5}}, difficult = {1, {.25, .75, .5, .5}};
  EXPECT_EQ(converted("coco-out", DatasetFormat::kCoco),
            (std::vector<IgnoredLabel>{{crowd, Reason::kCrowd}, {difficult, Reason::kDifficult}, kCorner}));
  EXPECT_EQ(
      converted("voc-out", DatasetFormat::kVoc),
      (std::vector<IgnoredLabel>{{crowd, Reason::kDifficult}, {difficult, Reason::kDifficult}, kCorner}));
  EXPECT_EQ(converted("yolo-out", DatasetFormat::kYolo), std::vector<IgnoredLabel>{kCorner});
  const auto holds = [&](const char* file, const char* part) {
    EXPECT_SAYS(read_file(folder_ / file, 1 << 20), part);
  };
  holds("coco-out/annotations/instances_train.json", R"("category_id": 3, "bbox": [20, 10, 20, 10])");
  holds("coco-out/annotations/instances_train.json", R"("iscrowd": 1, "segmentation": []}
],)");
  holds("voc-out/Annotations/a.xml",
        "<name>ignore</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0"
        "</truncated>\n\t\t<difficult>1</difficult>");
  holds("yolo-out/data.yaml", "  2: \"ignore\"\n");
  holds("yolo-out/labels/train/a.txt", "0 0.25 0.25 0.5 0.5\n2 0.75 0.75 0.5 0.5\n");
}

TEST_F(Ignore, ARowBesidePolygonsIsAPolygonToo) {
  write("labels/train/a.txt", "2 .1 .1 .5 .1 .5 .5\n1 .25 .5 .5 1\n");
  convert_dataset(read("data.yaml"), folder_ / "out", {.to = DatasetFormat::kYolo, .polygons = true});
  EXPECT_EQ(read_file(folder_ / "out/labels/train/a.txt", 1000),
            "1 0.1 0.1 0.5 0.1 0.5 0.5\n2 0 0 0.5 0 0.5 1 0 1\n");
}

TEST_F(Ignore, DividingKeepsThem) {
  divide_dataset(read("data.yaml"), folder_ / "out", {.val_share = .5, .test_share = 0, .group = false});
  const Dataset dataset = read("out");
  EXPECT_EQ(dataset.names, (Names{"cat", "dog"}));
  size_t regions = 0;
  for (const char* split : {"train", "val"})
    for (const LabelledImage& image : images(dataset, split)) regions += image.ignored.size();
  EXPECT_EQ(regions, 2u);
}

TEST_F(Ignore, MergingKeepsThemAndMakesThem) {
  write("other.yaml", "train: images/train\nval: images/train\nnames: [emu, fog, cat]\n");
  const std::vector<Dataset> datasets = {read("data.yaml"), read("other.yaml")};
  MergeOptions options;
  options.rename = {{"fog", "ignore"}, {"emu", ""}};
  const MergeSummary summary = merge_datasets(datasets, folder_ / "out", options);
  EXPECT_EQ(summary.names, (Names{"cat", "dog"}));
  EXPECT_EQ(summary.left_out, 2);      // an emu, in both splits
  EXPECT_EQ(summary.read.objects, 6);  // cat, dog and cat, in both splits
  const auto all = images(read("out"));
  ASSERT_EQ(all.size(), 4u);
  for (const LabelledImage& image : all) EXPECT_EQ(image.ignored.size(), 1u);
}

}  // namespace
}  // namespace marrow::data
