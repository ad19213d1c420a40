#include "marrow/data/dataset.h"

#include "marrow/data/dataset_folders.h"
#include "support.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

class DatasetYaml : public testing::DataFolder {
 protected:
  Dataset read(const std::string& text) { return read_dataset(write("data.yaml", text)); }
  std::string error(const std::string& text) {
    const std::string message = message_of([&] { read(text); });
    const std::string prefix = (folder_ / "data.yaml").string();
    return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
  }
};

TEST_F(DatasetYaml, NamesAreAListAMappingOrACount) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(read("train: a\nval: b\nnames: [x, 'y z']\n").names, (Names{"x", "y z"}));
  EXPECT_EQ(read("train: a\nval: b\nnames: {1: x, 0: y}\nnc: 2\n").names, (Names{"y", "x"}));
  EXPECT_EQ(read("train: a\nval: b\nnc: 2\n").names, (Names{"class_0", "class_1"}));
}

TEST_F(DatasetYaml, MistakesAreNamedWithTheirLine) {
  EXPECT_EQ(error("train: a\nval: b\nnames: {0: x, 2: y}"),
            ":3: names: key '2', but the keys of 2 names are 0..1");
  EXPECT_EQ(error("train: a\nval: b\nnames: [x, y]\nnc: 3"), ":4: nc is 3, but there are 2 names");
  EXPECT_EQ(error("train: a\nval: b\nnc: 1000000000"),
            ":3: nc: '1000000000', expected a whole number from 1 to 100000");
  EXPECT_EQ(
      error("train: a\nval: b\nnmaes: [x]"),
      ": the key 'names' is missing; a dataset has train, val and names. Is 'nmaes' a misspelling of it?");
  EXPECT_EQ(error("val: b\nnames: [x]"), ": the key 'train' is missing; a dataset has train, val and names");
  EXPECT_EQ(error("- a"), ": a list of 1, where a mapping with train, val and names is wanted");
  EXPECT_EQ(error("train: a\nval: b\nnames: x"), ":3: names: 'x', expected a list or a mapping from numbers");
  EXPECT_EQ(error("train: a\nval: b\nnames: [[x]]"), ":3: names: a list of 1, expected a name");
  EXPECT_EQ(error("train: a\nval: b.json\nnames: [x]"),
            ": the splits mix formats (COCO and YOLO); convert one with 'marrow data convert'");
  EXPECT_EQ(error("train: a\nval: b\nnames: [x]\nformat: coca"),
            ":4: unknown format 'coca'. Did you mean 'coco'? Known: yolo, coco, voc, folders, dota");
}

TEST_F(DatasetYaml, SaysWhatImagesAreReadAs) {
  const std::string rest = "train: a\nval: b\nnames: [x]\n";
  EXPECT_EQ(read(rest).reading, ImageReading());
  EXPECT_EQ(read(rest + "channels: 12").reading, (ImageReading{{12, 8}, {}}));
  EXPECT_EQ(read(rest + "bits: 16\nchannels: 1").reading, (ImageReading{{1, 16}, {}}));
  EXPECT_EQ(read(rest + "bits: 16\nrange: [7, 4095]").reading, (ImageReading{{3, 16}, {7, 4095}}));
  EXPECT_EQ(error(rest + "channels: 65"), ":4: channels: '65', expected a whole number from 1 to 64");
  EXPECT_EQ(error(rest + "bits: 12"), ":4: bits: 12, expected 8 or 16");
  EXPECT_EQ(error(rest + "range: [0, 4095]"), ":4: range: is of images with 'bits: 16'");
  EXPECT_EQ(error(rest + "bits: 16\nrange: 4095"), ":5: range: '4095', expected [least, largest] sample");
  EXPECT_EQ(error(rest + "bits: 16\nrange: [9, 9]"),
            ":5: range: '9', expected a whole number from 10 to 65535");
}

TEST_F(DatasetYaml, HostileFilesAreErrors) {
  EXPECT_NE(error(std::string(100'000, '[')).find("data.yaml"), 0u);
  for (const std::string& text :
       {std::string("train: a\nval: [&a [*a"), std::string("\x00\x01\x02", 3), std::string("train: \xff\xfe"),
        std::string(2 << 20, 'a'), std::string(5000, '['), std::string()})
    EXPECT_THROW(read(text), Error);
  EXPECT_THROW(read_dataset(folder_ / "absent.yaml"), Error);
  EXPECT_THROW(read_dataset(folder_), Error);
}

TEST_F(DatasetYaml, NothingIsDownloadedOrRun) {
  const Dataset dataset =
      read("train: a\nval: b\nnames: [x]\ndownload: bash touch " + (folder_ / "ran").string() + "\n");
  ASSERT_EQ(dataset.notes.size(), 1u);
  EXPECT_NE(dataset.notes[0].find("data.yaml:4: download: nothing is downloaded or run"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "ran"));
}

TEST_F(DatasetYaml, PathsAreRelativeToTheRoot) {
  write_picture("set/images/train/a.png");
  const Dataset dataset =
      read("path: set\ntrain: images/train\nval: [images/train, ../list.txt]\nvalidation: x\nnames: [x]\n");
  EXPECT_EQ(dataset.root, folder_ / "set");
  EXPECT_EQ(dataset.split("train").sources[0].path, folder_ / "set/images/train");
  ASSERT_EQ(dataset.split("val").sources.size(), 2u);
  EXPECT_EQ(dataset.split("val").sources[1].path, folder_ / "list.txt");
  EXPECT_NE(message_of([&] { dataset.split("text"); }).find("no split 'text'; it has train, val"),
            std::string::npos);
}

TEST_F(DatasetYaml, WithoutAPathTheRootIsTheFilesFolder) {
  EXPECT_EQ(read("train: a\nvalidation: b\nnames: [x]\n").split("val").sources[0].path, folder_ / "b");
  // Some exports begin their paths with one folder too many.
  write_picture("train/images/a.png");
  EXPECT_EQ(read("train: ../train/images\nval: b\nnames: [x]\n").split("train").sources[0].path,
            folder_ / "train/images");
}

TEST_F(DatasetYaml, ARelativeRootIsTheOneThatHasTheTrainingImages) {
  // The working folder has a folder of every name "."; the images lie beside the file.
  write_picture("images/a.png");
  EXPECT_EQ(read("path: .\ntrain: images\nval: images\nnames: [x]\n").root, folder_ / "");
}

TEST_F(DatasetYaml, FoldersAreWalkedAndListsRead) {
  write_picture("images/b.png");
  write_picture("images/deep/er/a.JPG");
  write_picture("images/.hidden.png");
  write("images/notes.txt", "");
  write_picture("more/c.png");
  fs::create_directory_symlink(folder_ / "images", folder_ / "images" / "loop");
  fs::create_directory_symlink(folder_ / "more", folder_ / "images" / "again");
  write("list.txt", "\xef\xbb\xbf./more/c.png\r\n\n  " + (folder_ / "x.png").string() + "\n");
  const Dataset dataset = read("train: images\nval: list.txt\ntest: [images, list.txt]\nnames: [x]\n");
  const auto names = [&](const char* split) {
    std::vector<std::string> result;
    for (const fs::path& path : list_images(dataset.split(split)))
      result.push_back(path.lexically_relative(folder_));
    return result;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names("train"), (Names{"images/again/c.png", "images/b.png", "images/deep/er/a.JPG"}));
  EXPECT_EQ(names("val"), (Names{"more/c.png", "x.png"}));
  EXPECT_EQ(names("test").size(), 5u);
}

TEST_F(DatasetYaml, EmptyAndMissingSourcesAreErrors) {
  fs::create_directories(folder_ / "images");
  write("empty.txt", "\n");
  write("zero.txt", std::string("a\0b", 3));
  const Dataset dataset = read("train: images\nval: absent\ntest: empty.txt\nnames: [x]\n");
  EXPECT_NE(message_of([&] { list_images(dataset.split("train")); }).find("has no images"),
            std::string::npos);
  EXPECT_NE(
      message_of([&] { list_images(dataset.split("val")); }).find("no such folder or list; split 'val'"),
      std::string::npos);
  EXPECT_THROW(list_images(dataset.split("test")), Error);
  EXPECT_THROW(list_images({"train", {{folder_ / "zero.txt", {}}}}), Error);
  write("x.txt", "./images/a.png\n");
  const Split twice = {"train", {{folder_ / "x.txt", {}}, {folder_ / "x.txt", {}}}};
  EXPECT_EQ(list_images(twice, 30).size(), 2u);
  EXPECT_NE(message_of([&] { list_images(twice, 29); }).find("15 bytes; at most 14"), std::string::npos);
}

TEST_F(DatasetYaml, AFolderIsReadByItsLayout) {
  write_picture("yolo/images/train/a.png");
  write("yolo/labels/train/a.txt", "");
  EXPECT_NE(message_of([&] {
              read_dataset(folder_ / "yolo");
            }).find("nothing names the classes: neither data.yaml, nor classes.txt"),
            std::string::npos);
  EXPECT_EQ(read_dataset(folder_ / "yolo", {"x"}).format, DatasetFormat::kYolo);

  write_picture("classes/train/cat/a.png");
  write_picture("classes/train/dog/deep/b.png");
  write_picture("classes/val/dog/c.png");
  const Dataset classes = read_dataset(folder_ / "classes");
  EXPECT_EQ(classes.format, DatasetFormat::kFolders);
  EXPECT_EQ(classes.names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(list_classified(classes, "train"),
            (std::vector<ClassifiedImage>{{folder_ / "classes/train/cat/a.png", 0},
                                          {folder_ / "classes/train/dog/deep/b.png", 1}}));
  EXPECT_EQ(list_classified(classes, "val").at(0).class_id, 1);
  write_picture("classes/val/dgo/d.png");
  EXPECT_NE(
      message_of([&] { list_classified(classes, "val"); }).find("unknown class 'dgo'. Did you mean 'dog'?"),
      std::string::npos);
}

}  // namespace
}  // namespace marrow::data
