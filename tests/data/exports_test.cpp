// Datasets as programs for labelling export them.
#include <algorithm>

#include "marrow/data/dataset_split.h"
#include "marrow/data/foreign_paths.h"
#include "marrow/data/tools/check.h"
#include "support.h"
#include "support/expect_says.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using testing::message_of;

class Exports : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("XDG_CACHE_HOME");
    DataFolder::TearDown();
  }
  // An image and its label file.
  void pair(const std::string& image, const std::string& labels, uint64_t seed = 1) {
    write_picture(image, seed);
    write(labels, "1 .5 .5 .4 .4\n");
  }
  void xml(const std::string& name) {
    write(name,
          "<annotation><object><name>dog</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>20</xmax><ymax>10</"
          "ymax>"
          "</bndbox></object></annotation>");
  }
  // "train 2 val 1": objects of each split.
  std::string objects(const Dataset& dataset) {
    std::string text;
    for (const Split& split : dataset.splits) {
      int64_t count = 0;
      for (const LabelledImage& image : load_split(dataset, split.name).images)
        count += static_cast<int64_t>(image.labels.size());
      text += (text.empty() ? "" : " ") + split.name + " " + std::to_string(count);
    }
    return text;
  }
  void expect(const Dataset& dataset, DatasetFormat format, const std::string& read_as, const Names& names,
              const std::string& counts) {
    EXPECT_EQ(dataset.format, format);
    ASSERT_FALSE(dataset.notes.empty());
    EXPECT_SAYS(dataset.notes.back(), "read as " + read_as);
    EXPECT_EQ(dataset.names, names);
    EXPECT_EQ(objects(dataset), counts);
  }
};

TEST_F(Exports, LabelStudio) {
  pair("ls/images/1a-p0.png", "ls/labels/1a-p0.txt");
  pair("ls/images/1b-p1.png", "ls/labels/1b-p1.txt", 2);
  write("ls/classes.txt", "cat\r\ndog\r\n");
  write("ls/notes.json", R"({"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]})");
  expect(read_dataset(folder_ / "ls"), DatasetFormat::kYolo, "YOLO without splits", {"cat", "dog"},
         "train 2");
  fs::remove(folder_ / "ls/classes.txt");
  EXPECT_EQ(read_dataset(folder_ / "ls").names, (Names{"cat", "dog"}));
  fs::remove(folder_ / "ls/notes.json");
  EXPECT_SAYS(message_of([&] { read_dataset(folder_ / "ls"); }), "Name them with --names cat,dog");
  EXPECT_EQ(read_dataset(folder_ / "ls", {"a", "b"}).names, (Names{"a", "b"}));
  EXPECT_SAYS(message_of([&] {
                read_dataset(folder_ / "ls", {"a", "b"}).split("val");
              }),
              "no split 'val'; it has train alone. 'marrow data split ");
}

TEST_F(Exports, LabelImg) {
  pair("one/a b.png", "one/a b.txt");
  pair("one/c.png", "one/c.txt", 2);
  write("one/classes.txt", "cat\ndog\n");
  const Dataset dataset = read_dataset(folder_ / "one");
  expect(dataset, DatasetFormat::kYolo, "YOLO in one folder, as LabelImg", {"cat", "dog"}, "train 2");
  for (const Problem& problem : check_dataset(dataset, {}).problems)
    EXPECT_NE(problem.kind, Problem::Kind::kOrphanLabel) << problem.text();
  write_picture("xml/a.png");
  xml("xml/a.xml");
  expect(read_dataset(folder_ / "xml"), DatasetFormat::kVoc, "VOC in one folder", {"dog"}, "train 1");
}

// The labels lie beside the images, even below a folder "images".
TEST_F(Exports, DarknetAsCvatWritesIt) {
  pair("cvat/obj_train_data/images/a.png", "cvat/obj_train_data/images/a.txt");
  pair("cvat/obj_train_data/images/b.png", "cvat/obj_train_data/images/b.txt", 2);
  pair("cvat/obj_valid_data/c.png", "cvat/obj_valid_data/c.txt", 3);
  write("cvat/obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid=data/valid.txt\nnames = data/obj.names\nbackup = "
        "backup/\n");
  write("cvat/obj.names", "cat\ndog\n");
  write("cvat/train.txt", "data/obj_train_data/images/a.png\ndata/obj_train_data/images/b.png\n");
  write("cvat/valid.txt", "data\\obj_valid_data\\c.png\r\n");
  for (const char* path : {"cvat", "cvat/obj.data"})
    expect(read_dataset(folder_ / path), DatasetFormat::kYolo, "Darknet's YOLO", {"cat", "dog"},
           "train 2 val 1");
  write("cvat/obj.data", "train = C:\\cvat\\train.txt\nnames = C:\\cvat\\obj.names\n");
  expect(read_dataset(folder_ / "cvat/obj.data"), DatasetFormat::kYolo, "Darknet's YOLO", {"cat", "dog"},
         "train 2");
  write("cvat/obj.data", "classes: 2\n");
  EXPECT_SAYS(message_of([&] { read_dataset(folder_ / "cvat/obj.data"); }),
              "obj.data: 'classes: 2' is no 'key = value'");
  write("cvat/obj.data", "classes = 2\n");
  EXPECT_SAYS(message_of([&] { read_dataset(folder_ / "cvat/obj.data"); }), "the key 'train' is missing");
}

TEST_F(Exports, APathThatNoSystemTakesIsNotSearched) {
  write("a/b.txt", "");
  const auto path = [](size_t bytes) { return std::string(bytes - 7, '/') + "a/b.txt"; };
  EXPECT_EQ(end_below(folder_, path(kLongestPath)), folder_ / "a/b.txt");
  EXPECT_FALSE(end_below(folder_, path(kLongestPath + 1)));
}

TEST_F(Exports, CvatsYamlWithoutVal) {
  pair("u/images/train/a.png", "u/labels/train/a.txt");
  write("u/train.txt", "data/images/train/a.png\n");
  write("u/data.yaml", "names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\n");
  const Dataset dataset = read_dataset(folder_ / "u");
  EXPECT_EQ(objects(dataset), "train 1");
  EXPECT_SAYS(message_of([&] { dataset.split("val"); }), "divides it");
}

TEST_F(Exports, Roboflow) {
  pair("darknet/train/a.png", "darknet/train/a.txt");
  pair("darknet/valid/b.png", "darknet/valid/b.txt", 2);
  write("darknet/train/_darknet.labels", "cat\ndog\n");
  expect(read_dataset(folder_ / "darknet"), DatasetFormat::kYolo, "YOLO: labels beside the images",
         {"cat", "dog"}, "train 1 val 1");
  write_picture("voc/train/a.png");
  xml("voc/train/a.xml");
  write_picture("voc/valid/b.png", 2);
  xml("voc/valid/b.xml");
  expect(read_dataset(folder_ / "voc"), DatasetFormat::kVoc, "VOC: annotations beside the images", {"dog"},
         "train 1 val 1");
}

TEST_F(Exports, CvatsVocAndCoco) {
  write_picture("voc/JPEGImages/a.png");
  xml("voc/Annotations/a.xml");
  write("voc/ImageSets/Main/default.txt", "a\n");
  expect(read_dataset(folder_ / "voc"), DatasetFormat::kVoc, "VOC", {"dog"}, "train 1");
  write_picture("coco/images/default/a.png");
  write(
      "coco/annotations/instances_default.json",
      R"({"licenses": [{"name": "", "id": 0, "url": ""}], "images": [{"id": 1, "file_name": "a.png", "width": 40,
        "height": 20}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1.0, 1.0, 9.0, 9.0]}],
        "categories": [{"id": 1, "name": "dog", "supercategory": ""}]})");
  expect(read_dataset(folder_ / "coco"), DatasetFormat::kCoco, "COCO", {"dog"}, "train 1");
}

TEST_F(Exports, ListsFromAnotherMachineAreFoundBesideThem) {
  pair("set/images/a.png", "set/labels/a.txt");
  pair("set/b.png", "set/b.txt", 2);
  write("set/train.txt", "/home/me/work/images/a.png\nC:\\Users\\me\\images\\a.png\n/home/me/set/b.png\n");
  write("set/val.txt", "/home/me/other/b.png\n./images/a.png\n");
  write("set/data.yaml", "train: train.txt\nval: val.txt\nnames: [cat, dog]\n");
  const Dataset dataset = read_dataset(folder_ / "set");
  EXPECT_EQ(list_images(dataset.split("train")),
            (std::vector<fs::path>{folder_ / "set/b.png", folder_ / "set/images/a.png",
                                   folder_ / "set/images/a.png"}));
  // A file's name alone is not taken for the same image.
  EXPECT_EQ(list_images(dataset.split("val"))[0], "/home/me/other/b.png");
}

TEST_F(Exports, PathsOfAnotherMachineAreFoundBesideTheYaml) {
  pair("set/train/images/a.png", "set/train/labels/a.txt");
  pair("set/valid/images/b.png", "set/valid/labels/b.txt", 2);
  for (const char* yaml : {"train: /content/set-1/train/images\nval: /content/set-1/valid/images\n",
                           "path: C:\\Users\\me\\set\ntrain: train\\images\nval: valid\\images\n",
                           "train: set-1/train/images\nval: set-1/valid/images\n",
                           "path: /home/me/set\ntrain: train/images\nval: valid/images\n"}) {
    write("set/data.yaml", std::string(yaml) + "names: [cat, dog]\n");
    const Dataset dataset = read_dataset(folder_ / "set");
    EXPECT_EQ(dataset.split("train").sources[0].path, folder_ / "set/train/images") << yaml;
    EXPECT_EQ(objects(dataset), "train 1 val 1") << yaml;
    ASSERT_FALSE(dataset.notes.empty()) << yaml;
    EXPECT_SAYS(dataset.notes[0], "is not there; ");
  }
  // Another folder of that name, elsewhere, is not guessed.
  write("set/data.yaml", "train: /content/other\nval: valid/images\nnames: [cat, dog]\n");
  EXPECT_EQ(read_dataset(folder_ / "set").split("train").sources[0].path, "/content/other");
}

TEST_F(Exports, ArchivesAreCalledArchives) {
  write("set.zip", "PK\x03\x04....");
  EXPECT_SAYS(message_of([&] { read_dataset(folder_ / "set.zip"); }), "set.zip: an archive; unpack it");
}

TEST_F(Exports, NothingKnownIsSaidToBeSo) {
  write_picture("photos/a.png");
  EXPECT_SAYS(message_of([&] { read_dataset(folder_ / "photos"); }),
              "no dataset: neither data.yaml, nor images/");
}

}  // namespace
}  // namespace marrow::data
