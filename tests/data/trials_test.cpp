// The collection of inputs that people run into, where it is there (shared/trials/README.md): a table of what
// reading and checking each of them says. A dataset that the table does not name fails the test.
#include <algorithm>
#include <map>
#include <set>

#include "marrow/data/tools/check.h"
#include "support.h"
#include "support/expect_says.h"
#include "support/golden.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

struct Trial {
  std::vector<std::string> says;  // parts of the check's text, of a note, or of the error
  int64_t errors = 0;             // of the check; -1: the dataset is refused
  std::vector<std::string> names = {};
};

const std::map<std::string, Trial>& trials() {
  static const std::map<std::string, Trial> all = {
      {"02-mixed/data.yaml", {{"train0.txt:1: a row of 5 columns among polygons; read as a box"}}},
      {"04-beside/data.yaml",
       {{"split 'train' has no objects: no label file was found", "train/labels/train0.txt",
         "train/images/train0.txt is named as"},
        1}},
      {"11-names/data.yaml", {{"0 errors, 0 warnings"}}},
      {"11-names/n10.yaml", {{"中文", "🚗"}}},
      {"11-names/n23.yaml", {{"n23.yaml:3: val is empty"}, -1}},
      {"16-no-objects/data.yaml", {{"split 'train' has no objects: no label file was found"}, 1}},
      {"17-roboflow/colab.yaml", {{"is not there; ", "0 errors, 0 warnings"}}},
      {"17-roboflow/data.yaml", {{"test/images: no such folder", "0 errors, 1 warning"}}},
      {"17-roboflow/dot.yaml", {{"0 errors, 0 warnings"}}},
      {"17-roboflow/imagesless.yaml", {{"0 errors, 0 warnings"}}},
      {"17-roboflow/nested.yaml", {{"0 errors, 0 warnings"}}},
      {"17-roboflow/win.yaml", {{"0 errors, 0 warnings"}}},
      {"18-label-studio",
       {{"read as YOLO without splits, as Label Studio writes it", "dog", "there is no split 'val'"}}},
      {"26-coco-one-line/stringids.yaml", {{"the same image as"}, 3}},
      {"26-coco-one-line/train.yaml",
       {{"train.json:1: im1.png: annotation 2: the box 50 40 140 130 reaches outside",
         "im2.png: annotation 3: a box without area", "im0.png: the annotation says 48 x 64 pixels",
         "annotation 4: there is no image with id 99"},
        3}},
      {"27-voc-spaces", {{"read as VOC", "the same image as"}, 1}},
      {"33-outside/data.yaml", {{"a.txt:1: the box 0.95 0.5 0.5 0.4 reaches outside the image; clipped"}, 2}},
      {"36-half-beside/data.yaml", {{"y/images/p16898.txt: lies beside its image and is not read"}, 1}},
      {"37-upper-suffix/data.yaml", {{"the same image as"}, 1}},
  };
  return all;
}

// A folder of the collection is a dataset by its YAMLs, or by itself.
std::set<std::string> datasets_in(const fs::path& folder) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename().string();
    bool has_yaml = false;
    for (const auto& file : fs::directory_iterator(entry.path())) {
      if (file.path().extension() != ".yaml" || name == "34-cfg" || name == "31-model-yamls") continue;
      has_yaml = true;
      found.insert(name + "/" + file.path().filename().string());
    }
    const bool is_dataset = fs::exists(entry.path() / "labels") || fs::exists(entry.path() / "Annotations");
    if (!has_yaml && is_dataset) found.insert(name);
  }
  return found;
}

TEST(Trials, EveryDatasetIsReadOrRefusedAsItShould) {
  const fs::path folder = testing::data_folder().parent_path() / "trials";
  MARROW_NEEDS(folder);
  for (const std::string& name : datasets_in(folder)) {
    SCOPED_TRACE(name);
    const auto found = trials().find(name);
    ASSERT_NE(found, trials().end()) << "the table does not have it";
    const Trial& trial = found->second;
    std::string text;
    int64_t errors = -1;
    try {
      const Dataset dataset = read_dataset(folder / name, trial.names);
      for (const std::string& note : dataset.notes) text += note + "\n";
      const DatasetCheck check = check_dataset(dataset, {});
      errors = check.errors;
      text += check_text(dataset, check, 640);
    } catch (const Error& error) {
      text += error.what();
    }
    EXPECT_EQ(errors, trial.errors) << text;
    for (const std::string& part : trial.says) EXPECT_SAYS(text, part);
  }
}

}  // namespace
}  // namespace marrow::data
