#include "marrow/data/tools/convert.h"

#include <fmt/format.h>

#include <map>

#include "marrow/base/files.h"
#include "marrow/data/dataset_split.h"
#include "support.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

class Convert : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    write_picture("in/images/train/a.png", 1);
    write_picture("in/images/train/sub/a.png", 2, 64, 48);
    write_picture("in/images/train/zero/empty.png", 3);
    write_picture("in/images/val/a.png", 4, 100, 60);
    write("in/labels/train/a.txt", "1 0.5 0.25 0.25 0.5\n0 0.715625 0.2 0.0015625 0.1\n");
    write("in/labels/train/sub/a.txt", "1 .1 .1 .5 .1 .5 .5\n0 .5 .5 0.75 .5 .75 .75\n");
    write("in/labels/val/a.txt", "1 0.333333 0.5 0.1 0.1\n");
    write("in/data.yaml", "train: images/train\nval: images/val\nnames: [cat, 'a \"<&> b']\n");
  }
  Dataset convert(const fs::path& from, const std::string& to, DatasetFormat format,
                  WriteOptions options = {}) {
    options.to = format;
    summary_ = convert_dataset(read_dataset(from), folder_ / to, options);
    return read_dataset(folder_ / to);
  }
  // Split and class names with boxes to six digits, by the image's number in its split.
  static std::string content(const Dataset& dataset, bool polygons = false) {
    std::string text;
    for (const Split& split : dataset.splits) {
      const SplitLabels labels = load_split(dataset, split.name, {.use_cache = false});
      for (const LabelledImage& image : labels.images) {
        text += fmt::format("{} {}x{}:", split.name, image.width, image.height);
        for (size_t i = 0; i < image.labels.size(); ++i) {
          const Label& label = image.labels[i];
          text += fmt::format(" {} {:.5g} {:.5g} {:.5g} {:.5g}",
                              dataset.names[static_cast<size_t>(label.class_id)], label.box.cx, label.box.cy,
                              label.box.width, label.box.height);
          if (polygons && !image.polygons.empty())
            for (const auto& point : image.polygons[i])
              text += fmt::format(" ({:.5g} {:.5g})", point.x, point.y);
        }
        text += "\n";
      }
    }
    return text;
  }
  ReadSummary summary_;
};

TEST_F(Convert, EveryFormatKeepsImagesClassesAndBoxes) {
  const std::string expected = content(read_dataset(folder_ / "in"));
  EXPECT_NE(expected.find("train 64x48: a \"<&> b"), std::string::npos) << expected;
  const std::pair<const char*, DatasetFormat> formats[] = {
      {"yolo", DatasetFormat::kYolo}, {"coco", DatasetFormat::kCoco}, {"voc", DatasetFormat::kVoc}};
  for (const auto& [first, first_format] : formats) {
    const Dataset once = convert(folder_ / "in", first, first_format);
    EXPECT_EQ(once.format, first_format);
    EXPECT_EQ(content(once), expected) << first;
    EXPECT_EQ(summary_.images, 4);
    EXPECT_EQ(summary_.objects, 5);
    for (const auto& [second, second_format] : formats) {
      const std::string name = std::string(first) + "-" + second;
      EXPECT_EQ(content(convert(folder_ / first, name, second_format)), expected) << name;
      EXPECT_EQ(summary_.problems, std::vector<Problem>{}) << name;
    }
  }
}

TEST_F(Convert, PolygonsSurviveThroughCoco) {
  const std::string expected = content(read_dataset(folder_ / "in"), true);
  EXPECT_EQ(content(convert(folder_ / "in", "coco", DatasetFormat::kCoco), true), expected);
  EXPECT_EQ(content(convert(folder_ / "coco", "yolo", DatasetFormat::kYolo, {.polygons = true}), true),
            expected);
}

TEST_F(Convert, NumbersAreShort) {
  convert(folder_ / "in", "yolo", DatasetFormat::kYolo);
  EXPECT_EQ(read_file(folder_ / "yolo/labels/train/a.txt", 1000),
            "1 0.5 0.25 0.25 0.5\n0 0.715625 0.2 0.0015625 0.1\n");
  convert(folder_ / "in", "coco", DatasetFormat::kCoco);
  const std::string json = read_file(folder_ / "coco/annotations/instances_train.json", 10'000);
  EXPECT_NE(json.find("\"bbox\": [15, 0, 10, 10]"), std::string::npos) << json;
  EXPECT_NE(json.find("{\"id\": 2, \"name\": \"a \\\"<&> b\"}"), std::string::npos) << json;
  convert(folder_ / "in", "voc", DatasetFormat::kVoc);
  const std::string xml = read_file(folder_ / "voc/Annotations/a.xml", 10'000);
  EXPECT_NE(xml.find("<xmin>15</xmin>\n\t\t\t<ymin>0</ymin>\n\t\t\t<xmax>25</xmax>"), std::string::npos)
      << xml;
}

TEST_F(Convert, ImagesOfOneNameAreKeptApart) {
  convert(folder_ / "in", "voc", DatasetFormat::kVoc);
  for (const char* name : {"a.png", "a_2.png", "a_3.png", "empty.png"})
    EXPECT_TRUE(fs::exists(folder_ / "voc/JPEGImages" / name)) << name;
  EXPECT_EQ(read_file(folder_ / "voc/ImageSets/Main/val.txt", 100), "a_3\n");
}

TEST_F(Convert, ImagesAreCopiedOrLinked) {
  const fs::path original = folder_ / "in/images/val/a.png";
  convert(folder_ / "in", "copy", DatasetFormat::kYolo);
  EXPECT_EQ(fs::hard_link_count(original), 1u);
  convert(folder_ / "in", "hard", DatasetFormat::kYolo, {.transfer = ImageTransfer::kHardLink});
  EXPECT_TRUE(fs::equivalent(folder_ / "hard/images/val/a.png", original));
  convert(folder_ / "in", "soft", DatasetFormat::kYolo, {.transfer = ImageTransfer::kSymlink});
  EXPECT_EQ(fs::read_symlink(folder_ / "soft/images/val/a.png"), original);
}

// Up to data.yaml, which comes last; one image has come half.
TEST_F(Convert, GoesOnWhereItWasKilled) {
  const fs::path original = folder_ / "in/images/val/a.png";
  const std::string content = read_file(original, 1 << 20);
  for (const auto how : {ImageTransfer::kCopy, ImageTransfer::kHardLink, ImageTransfer::kSymlink}) {
    const std::string out = "killed" + std::to_string(static_cast<int>(how));
    convert(folder_ / "in", out, DatasetFormat::kYolo, {.transfer = how});
    fs::remove(folder_ / out / "data.yaml");
    const fs::path image = folder_ / out / "images/val/a.png";
    if (how == ImageTransfer::kCopy) fs::resize_file(image, content.size() / 2);
    convert(folder_ / "in", out, DatasetFormat::kYolo, {.transfer = how});
    EXPECT_EQ(read_file(image, 1 << 20), content);
    // A picture of someone else's stays.
    fs::remove(folder_ / out / "data.yaml");
    fs::remove(image);
    write(out + "/images/val/a.png", "mine");
    EXPECT_NE(message_of([&] {
                convert(folder_ / "in", out, DatasetFormat::kYolo, {.transfer = how});
              }).find("a.png: File exists"),
              std::string::npos);
    EXPECT_EQ(read_file(image, 100), "mine");
  }
  EXPECT_EQ(read_file(original, 1 << 20), content);
}

TEST_F(Convert, CrowdAndDifficultStayMarked) {
  write("crowd/a.json", R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [
    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 10], "iscrowd": 1},
    {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20], "difficult": 1},
    {"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 20]}],
    "categories": [{"id": 1, "name": "cat"}]})");
  write_picture("crowd/a.png");
  using Reason = IgnoredLabel::Reason;
  const auto reasons = [](const Dataset& dataset) {
    std::vector<Reason> result;
    const SplitLabels labels = load_split(dataset, "train", {.use_cache = false});
    for (const IgnoredLabel& ignored : labels.images.at(0).ignored) result.push_back(ignored.reason);
    return result;
  };
  const fs::path from = folder_ / "crowd/a.json";
  EXPECT_EQ(reasons(convert(from, "coco", DatasetFormat::kCoco)),
            (std::vector{Reason::kCrowd, Reason::kDifficult}));
  EXPECT_EQ(reasons(convert(from, "voc", DatasetFormat::kVoc)),
            (std::vector{Reason::kDifficult, Reason::kDifficult}));
  EXPECT_EQ(reasons(convert(from, "yolo", DatasetFormat::kYolo)), std::vector<Reason>{});
  EXPECT_EQ(summary_.ignored, 2);
  EXPECT_EQ(summary_.objects, 1);
}

TEST_F(Convert, UnusableImagesAreLeftOut) {
  write("in/images/train/b.png", "broken");
  convert(folder_ / "in", "voc", DatasetFormat::kVoc);
  EXPECT_EQ(summary_.dropped, 1);
  ASSERT_EQ(summary_.problems.size(), 1u);
  EXPECT_FALSE(fs::exists(folder_ / "voc/JPEGImages/b.png"));
}

TEST_F(Convert, RefusesAFolderWithADataset) {
  EXPECT_NE(message_of([&] {
              convert(folder_ / "in", "in", DatasetFormat::kVoc);
            }).find("there is a dataset already"),
            std::string::npos);
}

TEST_F(Convert, RefusesFoldersOfClasses) {
  write_picture("sorted/train/cat/a.png");
  write_picture("sorted/val/cat/b.png");
  EXPECT_NE(message_of([&] {
              convert_dataset(read_dataset(folder_ / "sorted"), folder_ / "out",
                              {.to = DatasetFormat::kCoco});
            }).find("it has no boxes"),
            std::string::npos);
}

}  // namespace
}  // namespace marrow::data
