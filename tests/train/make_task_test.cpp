// What a run settles before it begins.
#include "marrow/train/make_task.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/data/tools/synth.h"
#include "marrow/model/zoo.h"
#include "support/expect_says.h"
#include "support/graphs.h"
#include "support/message_of.h"
#include "train/tiny_classes.h"

namespace marrow::train {
namespace {

class Settle : public ::testing::Test {
 protected:
  Settle() {
    folders_ = data::read_dataset(tiny_.folder / "data");
    data::write_synth_dataset(tiny_.folder / "boxes",
                              {.images = 4, .image_size = 64, .classes = {"disc", "star"}});
    boxes_ = data::read_dataset(tiny_.folder / "boxes" / "data.yaml");
  }
  model::Model settled(const std::string& name, const data::Dataset& dataset) {
    options_.model = name;
    model::Model model = model::make_model(name, options_.backbone, {.names = dataset.names});
    said_.clear();
    settle(options_, model, dataset, [this](std::string_view line) { said_ += std::string(line) + "\n"; });
    return model;
  }
  std::string refusal(const std::string& name, const data::Dataset& dataset) {
    return testing::message_of([&] { settled(name, dataset); }, ErrorKind::kUsage);
  }
  int size_of(const std::string& name, const data::Dataset& dataset, int given = 0) {
    options_ = {};
    options_.imgsz = given;
    settled(name, dataset);
    return options_.imgsz;
  }

  testing::TinyClasses tiny_;
  data::Dataset folders_, boxes_;
  TrainOptions options_;
  std::string said_;
};

TEST_F(Settle, ImageSizesThatNobodyGave) {
  EXPECT_EQ(size_of("yolov8n", boxes_), 640);
  EXPECT_EQ(size_of("yolov8n", boxes_, 70), 96);
  EXPECT_EQ(size_of("starnet_s050", folders_), 224);
  EXPECT_EQ(size_of("efficientnet_b3", folders_), 300);
  EXPECT_EQ(size_of("yolov8n-cls", folders_), 224);
  EXPECT_EQ(size_of("starnet_s050", folders_, 70), 70);
}

TEST_F(Settle, NothingIsTrainedWithoutObjects) {
  const auto refused = [&] {
    return testing::message_of(
        [&] {
          const model::Model model = settled("yolov8n", boxes_);
          make_task(options_, model, boxes_,
                    [this](std::string_view line) { said_ += std::string(line) + "\n"; });
        },
        ErrorKind::kFormat);
  };
  const auto empty = [&](const char* split) {
    for (const auto& entry : std::filesystem::directory_iterator(tiny_.folder / "boxes/labels" / split))
      if (entry.path().extension() == ".txt") write_file_atomically(entry.path(), "\n");
  };
  empty("val");
  EXPECT_EQ(refused(), "nothing was thrown");
  EXPECT_SAYS(said_, "WARNING: ");
  EXPECT_SAYS(said_, "split 'val' has no objects");
  empty("train");
  EXPECT_SAYS(refused(), "split 'train' has no objects: the label files of all its ");
}

TEST_F(Settle, SaysWhatRegionsToIgnoreAreInValidation) {
  const std::filesystem::path yaml = tiny_.folder / "boxes" / "data.yaml";
  std::string text = read_file(yaml, 10000);
  text.replace(text.find("star"), 4, "ignore");
  write_file_atomically(yaml, text);
  const data::Dataset dataset = data::read_dataset(yaml);
  const model::Model model = settled("yolov8n", dataset);
  said_.clear();
  make_task(options_, model, dataset, [this](std::string_view line) { said_ += std::string(line) + "\n"; });
  EXPECT_SAYS(said_, "to ignore counts as wrong in mAP");
}

TEST_F(Settle, SaysThatAModelOfTilesIsTrainedOnWholeImages) {
  model::Model model = model::make_model("yolov8n", {}, {.names = boxes_.names});
  model.tiles = {320, 0.25};
  options_.model = "tiles.safetensors";
  const auto say = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
  settle(options_, model, boxes_, say);
  EXPECT_SAYS(said_, "tiles.safetensors was trained on tiles of 320 px; this run takes whole images");
  EXPECT_EQ(model.tiles.side, 0);
  said_.clear();
  options_.tile = 320;
  settle(options_, model, boxes_, say);
  EXPECT_EQ(said_.find("whole images"), std::string::npos) << said_;
  EXPECT_EQ(model.tiles.side, 320);
}

TEST_F(Settle, ADetectorRemembersItsTrainingSize) {
  options_.imgsz = 70;
  EXPECT_EQ(input_format(settled("yolov8n", boxes_).graph).crop, 96);
}

TEST_F(Settle, ASizeGivenKeepsTheProportionOfTheResize) {
  options_.imgsz = 112;
  const InputFormat format = input_format(settled("shufflenet_v2_x0_5", folders_).graph);
  const InputFormat published = input_format(model::make_model("shufflenet_v2_x0_5").graph);
  EXPECT_EQ(format.crop, 112);
  EXPECT_NEAR(static_cast<double>(format.resize) / format.crop,
              static_cast<double>(published.resize) / published.crop, 0.01);
  EXPECT_EQ(format.mean, published.mean);
  EXPECT_EQ(format.interpolation, published.interpolation);
}

TEST_F(Settle, TwiceChangesNothingMore) {
  options_.imgsz = 99;
  options_.dropout = 0.3;
  model::Model model = settled("starnet_s050", folders_);
  const Graph once = model.graph;
  const InputFormat format = input_format(model.graph);
  settle(options_, model, folders_, [](std::string_view) {});
  testing::expect_same(model.graph, once);
  EXPECT_EQ(input_format(model.graph), format);
}

TEST_F(Settle, RefusesADatasetOfTheOtherKind) {
  const std::string classifier = refusal("starnet_s050", boxes_);
  EXPECT_NE(classifier.find("--backbone starnet_s050"), std::string::npos) << classifier;
  EXPECT_NE(classifier.find("train/CLASS"), std::string::npos) << classifier;
  options_.backbone = "starnet_s1";
  const std::string detector = refusal("yolov8n", folders_);
  EXPECT_NE(detector.find("--model starnet_s1"), std::string::npos) << detector;
}

TEST_F(Settle, RefusesOneClass) {
  folders_.names = {"blue"};
  EXPECT_NE(refusal("starnet_s050", folders_).find("one class"), std::string::npos);
}

TEST_F(Settle, SaysWhatHasNoEffect) {
  settled("starnet_s050", folders_);
  EXPECT_EQ(said_, "");
  options_.mosaic = 0.5;
  options_.hsv_h = 0.1;
  settled("starnet_s050", folders_);
  EXPECT_NE(said_.find("mosaic"), std::string::npos) << said_;
  EXPECT_NE(said_.find("hsv_h (auto_augment"), std::string::npos) << said_;
  options_ = {};
  options_.erasing = 0.1;
  settled("yolov8n", boxes_);
  EXPECT_NE(said_.find("erasing"), std::string::npos) << said_;
}

}  // namespace
}  // namespace marrow::train
