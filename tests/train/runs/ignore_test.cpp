// Runs on a dataset with regions to ignore.
#include <gtest/gtest.h>

#include "marrow/data/dataset_split.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/evaluate/tile_validation.h"
#include "marrow/image/encode.h"
#include "marrow/train/start_model.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;
using testing::TinyRun;

class IgnoreRun : public ::testing::Test {
 protected:
  IgnoreRun() {
    // Squares become class 2; 1 is `ignore`.
    for (const char* split : {"train", "val"})
      for (const auto& entry : fs::directory_iterator(tiny_.folder / "data/labels" / split)) {
        if (entry.path().extension() != ".txt") continue;
        std::istringstream rows(read_file(entry.path(), 10'000));
        std::string text;
        for (std::string row; std::getline(rows, row);)
          text += (row[0] == '1' ? "2" : "0") + row.substr(1) + "\n";
        fs::create_directories(with_regions() / "labels" / split);
        write_file_atomically(with_regions() / "labels" / split / entry.path().filename(), text);
      }
    fs::create_directory_symlink(tiny_.folder / "data/images", with_regions() / "images");
    write_file_atomically(with_regions() / "data.yaml",
                          "train: images/train\nval: images/val\nnames: [disc, Ignore, square]\n");
  }

  fs::path with_regions() const { return tiny_.folder / "regions"; }

  // The left half of every image of the split.
  void add_regions(const std::string& split) {
    for (const auto& entry : fs::directory_iterator(with_regions() / "labels" / split))
      if (entry.path().extension() == ".txt")
        write_file_atomically(entry.path(), read_file(entry.path(), 10'000) + "1 0.25 0.5 0.5 1\n");
  }

  std::string train(const std::string& name, const fs::path& data, bool as_one = false) {
    TrainOptions options = tiny_.options(name);
    options.data = (data / "data.yaml").string();
    options.epochs = 1;
    options.nbs = 4;
    options.mixup = options.cutmix = 0.5;
    options.single_cls = as_one;
    EXPECT_EQ(run_training(options), RunOutcome::kFinished);
    return tiny_.bytes(name, "last");
  }

  std::vector<std::string> names(const std::string& run) const {
    return model::load_trained(tiny_.weights(run, "last")).model.names;
  }

  TinyRun tiny_;
};

TEST_F(IgnoreRun, TheNameAloneChangesNothing) {
  EXPECT_EQ(train("named", with_regions()), train("plain", tiny_.folder / "data"));
}

TEST_F(IgnoreRun, RegionsOfTheTrainingSplitChangeWhatIsLearned) {
  const std::string without = train("without", with_regions());
  add_regions("train");
  EXPECT_NE(train("with", with_regions()), without);
  EXPECT_EQ(names("with"), (std::vector<std::string>{"disc", "square"}));
}

// Of the columns only the class loss of validation.
TEST_F(IgnoreRun, RegionsOfTheValidationSplitChangeItsClassLossAlone) {
  train("without", with_regions());
  add_regions("val");
  train("with", with_regions());
  const auto column = [&](const std::string& run, const std::string& name) {
    std::istringstream heading(tiny_.results(run).at(0)), row(tiny_.results(run).at(1));
    for (std::string key, value; std::getline(heading, key, ',') && std::getline(row, value, ',');)
      if (key == name) return std::stod(value);
    ADD_FAILURE() << name;
    return 0.0;
  };
  for (const char* name : {"train/cls_loss", "val/box_loss", "val/dfl_loss", "metrics/mAP50(B)"})
    EXPECT_EQ(column("with", name), column("without", name)) << name;
  EXPECT_LT(column("with", "val/cls_loss"), column("without", "val/cls_loss"));
}

TEST_F(IgnoreRun, ClassesTakenAsOneAreNotTheRegions) {
  add_regions("train");
  train("one", with_regions(), true);
  EXPECT_EQ(names("one"), (std::vector<std::string>{"item"}));
}

TEST_F(IgnoreRun, ChosenClassesKeepRegionsWithoutAClass) {
  add_regions("train");
  const data::Dataset dataset = data::read_dataset(with_regions() / "data.yaml");
  const evaluate::OpenedSplit all = evaluate::open_split(dataset, "train", {.use_cache = false});
  const evaluate::OpenedSplit chosen =
      evaluate::open_split(dataset, "train", {.use_cache = false, .classes = {1}});
  EXPECT_LT(chosen.objects, all.objects);
  for (size_t i = 0; i < chosen.images->size(); ++i) {
    EXPECT_EQ(chosen.images->labels(i).ignored.size(), 1u);
    for (const data::Label& label : chosen.images->labels(i).labels) EXPECT_EQ(label.class_id, 1);
  }
}

// Two detections, the surer one in the region.
TEST(IgnoreInValidation, OnlyACrowdOfCocoPassesOverWhatIsFoundInIt) {
  testing::TemporaryFolder folder;
  image::write_image(folder / "a.png", image::Image(64, 64).pixels());
  const auto report = [&](const std::vector<data::IgnoredLabel>& ignored) {
    data::LabelledImage image{{}, folder / "a.png", 64, 64};
    image.labels = {{0, {.25, .25, .5, .5}}};
    image.ignored = ignored;
    loader::ImageStore store({image}, {.image_size = 0});
    return evaluate::validate_whole_images(store, {.names = {"a"}},
                                           [](size_t, const image::Image&) {
                                             return predict::DetectionResult{
                                                 .detections = {{.box = {40, 40, 60, 60}, .confidence = .9f},
                                                                {.box = {0, 0, 32, 32}, .confidence = .8f}},
                                                 .network = {64, 64}};
                                           })
        .report;
  };
  using Reason = data::IgnoredLabel::Reason;
  const CentredBox<Normalised, double> corner = {.75, .75, .5, .5};
  const evaluate::DetectionReport none = report({});
  EXPECT_LT(none.coco.ap50_95(), 0.9);
  for (const data::IgnoredLabel& region : {data::IgnoredLabel{{0, corner}, Reason::kCrowd},
                                           {{0, corner}, Reason::kDifficult},
                                           {{data::kIgnoreClass, corner}, Reason::kClass}}) {
    const evaluate::DetectionReport found = report({region});
    EXPECT_EQ(found.ultralytics.map50_95(), none.ultralytics.map50_95());
    EXPECT_EQ(found.instances, 1);
    if (region.reason == Reason::kCrowd)
      EXPECT_NEAR(found.coco.ap50_95(), 1, 1e-12);
    else
      EXPECT_EQ(found.coco.ap50_95(), none.coco.ap50_95());
  }
}

}  // namespace
}  // namespace marrow::train
