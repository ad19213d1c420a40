// Datasets that seem to have nothing to learn, and labels that lie where nobody looks.
#include "marrow/data/no_objects.h"

#include "marrow/data/tools/check.h"
#include "support.h"
#include "support/expect_says.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using Kind = Problem::Kind;
using Severity = Problem::Severity;

class NoObjects : public testing::DataFolder {
 protected:
  void SetUp() override {
    DataFolder::SetUp();
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);  // without a folder of labels
    write_picture("images/train/a.png", 1);
    write_picture("images/train/b.png", 2);
    write_picture("images/val/c.png", 3);
    write("data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n");
  }
  void TearDown() override {
    ::unsetenv("XDG_CACHE_HOME");
    DataFolder::TearDown();
  }
  std::string reason(const std::string& file = "data.yaml") {
    const Dataset dataset = read_dataset(folder_ / file);
    return without_folder(no_objects_message(dataset, "train", load_split(dataset, "train")));
  }
  std::string without_folder(std::string text) const {
    for (size_t at; (at = text.find(folder_.string() + "/")) != std::string::npos;)
      text.erase(at, folder_.string().size() + 1);
    return text;
  }
  // "warning place: message" of a kind.
  std::string problems(Kind kind, const std::string& file = "data.yaml") {
    std::string text;
    for (const Problem& problem : check_dataset(read_dataset(folder_ / file), {}).problems)
      if (problem.kind == kind)
        text += std::string(severity_name(problem.severity)) + " " + without_folder(problem.text()) + "\n";
    return text;
  }
};

TEST_F(NoObjects, SaysWhereLabelsAreLookedFor) {
  EXPECT_EQ(reason(),
            "split 'train' has no objects: no label file was found. The labels of "
            "images/train/a.png are looked for in labels/train/a.txt");
  EXPECT_SAYS(problems(Kind::kNoObjects), "error data.yaml: split 'train' has no objects: no label file");
  EXPECT_SAYS(problems(Kind::kNoObjects), "warning data.yaml: split 'val' has no objects: no label file");
}

TEST_F(NoObjects, SaysWhereLabelsLieInstead) {
  write("images/train/a.txt", "0 .5 .5 .4 .4\n");
  write("images/train/b.txt", "0 .5 .5 .4 .4\n");
  write("old/xml/b.xml", "<annotation/>");
  write("old/.hidden/b.txt", "0 .5 .5 .4 .4\n");
  const std::string text = reason();
  EXPECT_SAYS(
      text, "images/train/a.txt is named as images/train/a.png and is not read, like 1 more in this folder");
  EXPECT_SAYS(text, "old/xml/b.xml is named as images/train/b.png and is not read; is it VOC's?");
  EXPECT_EQ(text.find(".hidden"), std::string::npos) << text;
}

TEST_F(NoObjects, TellsEmptyFilesFromNone) {
  write("labels/train/a.txt", "");
  write("labels/train/b.txt", "\n");
  EXPECT_SAYS(reason(), "the label files of all its 2 images are empty");
  fs::remove(folder_ / "labels/train/b.txt");
  EXPECT_SAYS(reason(), "its label files are empty, and 1 image has none");
}

TEST_F(NoObjects, SaysWhatWasWrongWithTheObjects) {
  write("labels/train/a.txt", "0 .5 .5 0 .4\n");
  EXPECT_SAYS(
      reason(),
      "none of its objects could be used; the first problem: labels/train/a.txt:1: a box without area");
  write("labels/train/a.txt", "7 .5 .5 .4 .4\n");
  EXPECT_SAYS(reason(), "labels/train/a.txt:1: class 7, but the dataset has 2 classes");
}

TEST_F(NoObjects, KnowsCrowdsDifficultObjectsAndOtherClasses) {
  const auto coco = [&](const std::string& annotation, const std::string& names) {
    write("train.json", R"({"images": [{"id": 1, "file_name": "images/train/a.png"}], "annotations": [)" +
                            annotation +
                            R"(], "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "emu"}]})");
    write("coco.yaml", "train: train.json\nval: train.json\n" + names);
    return reason("coco.yaml");
  };
  EXPECT_SAYS(coco(R"({"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1})", ""),
              "its one object is crowds (iscrowd)");
  EXPECT_SAYS(coco(R"({"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "ignore": 1},
                      {"image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 9], "ignore": 1})",
                   ""),
              "all its 2 objects are marked as difficult");
  EXPECT_SAYS(coco(R"({"image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9]})", "names: [cat]\n"),
              "category 'emu' is not among the names of the dataset");
  EXPECT_SAYS(coco("", ""), "no annotation has an object in one of its 1 image");
}

TEST_F(NoObjects, LabelsBesideTheirImagesAreNamed) {
  write("labels/train/a.txt", "0 .5 .5 .4 .4\n");
  write("images/train/b.txt", "1 .5 .5 .4 .4\n");
  EXPECT_EQ(problems(Kind::kOrphanLabel),
            "warning images/train/b.txt: lies beside its image and is not read: the labels of this image are "
            "looked for in labels/train/b.txt\n");
  // Training says so, too.
  const SplitLabels labels = load_split(read_dataset(folder_ / "data.yaml"), "train");
  ASSERT_EQ(labels.problems.size(), 1u);
  EXPECT_EQ(labels.problems[0].severity, Severity::kWarning);
}

TEST_F(NoObjects, LabelsInOtherFoldersAreNamed) {
  write("labels/train/a.txt", "0 .5 .5 .4 .4\n");
  write("labels/val/c.txt", "0 .5 .5 .4 .4\n");
  write("Labels/train/b.txt", "1 .5 .5 .4 .4\n");
  write("Labels/train/a.txt", "1 .5 .5 .4 .4\n");
  EXPECT_EQ(
      problems(Kind::kOrphanLabel),
      "warning Labels/train: Labels/train/b.txt is named as images/train/b.png and is not read; the labels "
      "of this image are looked for in labels/train/b.txt\n");
}

TEST_F(NoObjects, AnUpperCaseSuffixIsRead) {
  write("labels/train/a.TXT", "0 .5 .5 .4 .4\n");
  write("labels/train/b.txt", "0 .5 .5 .4 .4\n1 .5 .5 .2 .2\n");
  write("labels/train/b.TXT", "0 .1 .1 .1 .1\n");
  write("labels/train/B.Txt", "0 .1 .1 .1 .1\n");
  const SplitLabels labels = load_split(read_dataset(folder_ / "data.yaml"), "train");
  ASSERT_EQ(labels.images.size(), 2u);
  EXPECT_EQ(labels.images[0].labels.size(), 1u);
  EXPECT_EQ(labels.images[1].labels.size(), 2u);
  EXPECT_EQ(problems(Kind::kOrphanLabel),
            "warning labels/train/B.Txt: there is no image for this label file\n"
            "warning labels/train/b.TXT: there is no image for this label file\n");
}

TEST_F(NoObjects, AMissingTestSplitIsNoError) {
  write("labels/train/a.txt", "0 .5 .5 .4 .4\n1 .5 .5 .2 .2\n");
  write("labels/val/c.txt", "0 .5 .5 .4 .4\n1 .5 .5 .2 .2\n");
  write("data.yaml", "train: images/train\nval: images/val\ntest: ../test/images\nnames: [cat, dog]\n");
  const DatasetCheck check = check_dataset(read_dataset(folder_ / "data.yaml"), {});
  EXPECT_EQ(check.errors, 0);
  EXPECT_EQ(check.warnings, 1);
}

TEST_F(NoObjects, AnEmptyKeyIsCalledEmpty) {
  const auto error = [&](const std::string& yaml) {
    write("data.yaml", yaml);
    return without_folder(testing::message_of([&] { read_dataset(folder_ / "data.yaml"); }));
  };
  EXPECT_EQ(error("train: images/train\nval:\nnames: [cat]\n"),
            "data.yaml:2: val is empty; a folder or a list of images is wanted");
  EXPECT_EQ(error("names: [cat]\ntrain: ~\nval: x\n"),
            "data.yaml:2: train is empty; a folder or a list of images is wanted");
  EXPECT_EQ(error("train: images/train\nval: images/val\nnames:\n"),
            "data.yaml:3: names is empty; a list of the classes is wanted");
  EXPECT_SAYS(error("train: images/train\nvale: x\nnames: [cat]\n"),
              "the key 'val' is missing; a dataset has train, val and names. Is 'vale' a misspelling of it?");
}

}  // namespace
}  // namespace marrow::data
