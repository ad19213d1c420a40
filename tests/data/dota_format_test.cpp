#include "marrow/data/formats/dota_format.h"

#include "marrow/data/dataset_split.h"
#include "support.h"

namespace marrow::data {
namespace {

constexpr const char* kText =
    "imagesource:GoogleEarth\ngsd:0.146\n"
    "10 2 30 2 30 8 10 8 small-vehicle 0\n4.0 4.0 8 4 8 12 4 12 plane 1\n\n";

class Dota : public testing::DataFolder {};

TEST(DotaFormat, ReadsLinesBelowTheHeaders) {
  const ParsedLabels labels = parse_dota(kText, "a.txt", ClassIndex(dota_classes()), {40, 20});
  ASSERT_TRUE(labels.usable);
  ASSERT_EQ(labels.labels.size(), 2u);
  EXPECT_EQ(labels.labels[0].class_id, 10);
  EXPECT_EQ(labels.labels[1].class_id, 0);
  EXPECT_EQ(labels.polygons[0], (Polygon{{.25, .1}, {.75, .1}, {.75, .4}, {.25, .4}}));
  EXPECT_TRUE(labels.problems.empty());
}

TEST(DotaFormat, CornersOutsideTheImageStay) {
  const ParsedLabels labels =
      parse_dota("-20 0 20 0 20 10 -20 10 ship 0", "a.txt", ClassIndex(dota_classes()), {40, 20});
  ASSERT_EQ(labels.labels.size(), 1u);
  EXPECT_EQ(labels.polygons[0][0].x, -.5);
  EXPECT_EQ(labels.labels[0].box.width, .5);
}

TEST(DotaFormat, NamesWhatIsWrong) {
  const ClassIndex classes(dota_classes());
  const ParsedLabels unknown = parse_dota("1 1 5 1 5 5 1 5 boat 0\n", "a.txt", classes, {40, 20});
  EXPECT_TRUE(unknown.usable);
  ASSERT_EQ(unknown.problems.size(), 1u);
  EXPECT_EQ(unknown.problems[0].text(), "a.txt:1: 'boat' is not a class of this dataset; left out");
  const ParsedLabels broken = parse_dota("h\n1 1 x 1 5 5 1 5 ship 0\n", "a.txt", classes, {40, 20});
  EXPECT_FALSE(broken.usable);
  EXPECT_EQ(broken.problems.at(0).text(),
            "a.txt:2: 'x' is not a number; a line is: x1 y1 x2 y2 x3 y3 x4 y4 class difficult");
  EXPECT_TRUE(parse_dota("1e999 1 5 1 5 5 1 5 ship 0", "a.txt", classes, {40, 20}).labels.empty());
}

TEST_F(Dota, AFolderIsReadByItsLayout) {
  write_picture("train/images/a.png");
  write_picture("train/images/b.png", 2);
  write("train/labelTxt-v1.5/labelTxt-v1.5/a.txt", kText);
  Dataset dataset = read_dataset(folder_);
  EXPECT_EQ(dataset.format, DatasetFormat::kDota);
  EXPECT_EQ(dataset.classes(), 15);
  EXPECT_EQ(dataset.names[2], "storage tank");
  dataset.task = Task::kObb;
  const SplitLabels labels = load_split(dataset, "train");
  ASSERT_EQ(labels.images.size(), 2u);
  EXPECT_EQ(labels.images[0].polygons.size(), 2u);
  EXPECT_EQ(labels.backgrounds, 1);
  write("train/labelTxt-v1.5/labelTxt-v1.5/b.txt", "1 1 5 1 5 5 1 5 helipad 0");
  EXPECT_EQ(read_dataset(folder_).classes(), 18);
}

TEST_F(Dota, ALinkToItselfBesideTheImagesIsPassedOver) {
  write_picture("train/images/a.png");
  write("train/labelTxt/a.txt", kText);
  std::filesystem::create_symlink("loop", folder_ / "train" / "loop");
  EXPECT_EQ(dota_label_folder(folder_ / "train" / "images"), folder_ / "train" / "labelTxt");
}

}  // namespace
}  // namespace marrow::data
