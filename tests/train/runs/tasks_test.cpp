// Each task trains on its drawn dataset: what is minimised falls, by both sets of rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "marrow/base/task.h"
#include "marrow/evaluate/detector_validation.h"
#include "marrow/image/encode.h"
#include "support/message_of.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_task.h"

namespace marrow::train {
namespace {

struct TaskRun {
  marrow::Task task;
  std::string losses;  // in results.csv, by 8.4's rules
  std::string older;   // by 8.3's
};

class Tasks : public ::testing::TestWithParam<TaskRun> {};

TEST_P(Tasks, LearnWhatIsDrawn) {
  const auto& [task, losses, older] = GetParam();
  const testing::TinyTask tiny(task);
  for (const char* rules : {"8.4", "8.3"}) {
    SCOPED_TRACE(rules);
    TrainOptions options = tiny.options(rules);
    options.rules = rules;
    options.mosaic = 0;
    options.nbs = 4;
    options.lr0 = 0.02;
    options.epochs = 8;
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(run_training(options), RunOutcome::kFinished);
    const std::string said = ::testing::internal::GetCapturedStderr();
    for (const std::string letter : {"M", "P"}) {
      const bool is_measured = task == (letter == "M" ? marrow::Task::kSegment : marrow::Task::kPose);
      EXPECT_EQ(said.find(" of boxes, mAP50(" + letter + ") ") != std::string::npos, is_measured) << said;
    }
    const std::vector<std::string> rows = tiny.results(rules);
    ASSERT_EQ(rows.size(), 9u);
    const std::string wanted = std::string(rules) == "8.4" ? losses : older;
    EXPECT_TRUE(rows[0].starts_with("epoch,time," + wanted + ",metrics/precision(B)")) << rows[0];
    const auto terms = static_cast<size_t>(std::ranges::count(wanted, ',')) + 1;
    const auto sum = [&](const std::string& row) {
      std::istringstream fields(row);
      std::vector<double> numbers;
      for (std::string field; std::getline(fields, field, ',');) numbers.push_back(std::stod(field));
      return std::accumulate(numbers.begin() + 2, numbers.begin() + 2 + static_cast<std::ptrdiff_t>(terms),
                             0.0);
    };
    EXPECT_LT(sum(rows.back()), 0.9 * sum(rows[1])) << rows[1] << "\n" << rows.back();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Tasks,
    ::testing::Values(TaskRun{marrow::Task::kSegment,
                              "train/box_loss,train/seg_loss,train/cls_loss,train/dfl_loss,train/sem_loss",
                              "train/box_loss,train/seg_loss,train/cls_loss,train/dfl_loss"},
                      TaskRun{marrow::Task::kPose,
                              "train/box_loss,train/pose_loss,train/kobj_loss,train/cls_loss,train/dfl_loss",
                              "train/box_loss,train/pose_loss,train/kobj_loss,train/cls_loss,train/dfl_loss"},
                      TaskRun{marrow::Task::kObb,
                              "train/box_loss,train/cls_loss,train/dfl_loss,train/angle_loss",
                              "train/box_loss,train/cls_loss,train/dfl_loss"}),
    [](const auto& info) { return std::string(task_name(info.param.task)); });

// Two masks are found: that of the object, and a surer one that fills the lower right corner.
TEST(TaskValidation, ACrowdIsWhereItsOutlineIs) {
  const testing::TemporaryFolder folder;
  image::write_image(folder / "a.png", image::Image(64, 64).pixels());
  const auto ap50 = [&](const data::Polygon& crowd) {
    data::LabelledImage image{{}, folder / "a.png", 64, 64};
    image.labels = {{0, {.25, .25, .25, .25}}};
    image.polygons = {data::box_polygon(image.labels[0])};
    image.ignored = {{{0, {.5, .5, 1, 1}}, data::IgnoredLabel::Reason::kCrowd, crowd}};
    const auto store = std::make_shared<loader::ImageStore>(
        std::vector{image},
        loader::ImageStoreOptions{.image_size = 64, .task = marrow::Task::kSegment, .report = {}});
    loader::DetectionLoader loader(store, {.batch = 1});
    cpu::ThreadPool threads(1);
    // cx cy w h, the class and one coefficient of two anchors; the prototype is 1 everywhere.
    const std::vector<float> rows = {16, 52, 16, 52, 17, 20, 17, 20, .8f, .9f, 1, 1};
    Tensor prototypes({1, 1, 16, 16});
    std::ranges::fill(prototypes.values(), 1.0f);
    const evaluate::DetectorValidation result = evaluate::validate_detector(
        loader, *store,
        {.names = {"a"},
         .head = {.decode = {.classes = 1, .extra = DetectExtra::kCoefficients, .extra_channels = 1}},
         .show = {}},
        [&](const loader::DetectionBatch&) {
          return evaluate::BatchPredictions(Tensor::from({1, 6, 2}, rows), prototypes);
        },
        threads);
    EXPECT_EQ(result.report.instances, 1);
    return result.report.coco_masks.ap50();
  };
  EXPECT_NEAR(ap50({}), 1, 1e-12);  // the whole box
  EXPECT_NEAR(ap50({{1, .6}, {1, 1}, {.6, 1}, {.6, .6}}), 1, 1e-12);
  EXPECT_NEAR(ap50({{0, 0}, {1, 0}, {1, .3}, {.3, .3}, {.3, 1}, {0, 1}}), 0.5, 1e-12);
}

// A label file of a few kilobytes, and an image that is there.
TEST(TaskValidation, RefusesMasksThatDoNotFitIntoMemory) {
  constexpr size_t kObjects = 2000;
  const testing::TemporaryFolder folder;
  image::write_image(folder / "a.png", image::Image(1200, 1000).pixels());
  data::LabelledImage image{{}, folder / "a.png", 1200, 1000};
  image.labels.assign(kObjects, {0, {0.5, 0.5, 1, 1}});
  image.polygons.assign(kObjects, {{0, 0}, {1, 0}, {1, 1}, {0, 1}});
  image.ignored = {{{0, {0.5, 0.5, 1, 1}}, data::IgnoredLabel::Reason::kCrowd}};
  const auto store = std::make_shared<loader::ImageStore>(
      std::vector{image},
      loader::ImageStoreOptions{.image_size = 64, .task = marrow::Task::kSegment, .report = {}});
  loader::DetectionLoader loader(store, {.batch = 1});
  cpu::ThreadPool threads(1);
  const std::string message = testing::message_of([&] {
    evaluate::validate_detector(
        loader, *store,
        {.names = {"a"},
         .head = {.decode = {.classes = 1, .extra = DetectExtra::kCoefficients, .extra_channels = 8}},
         .show = {}},
        [](const loader::DetectionBatch&) {
          return evaluate::BatchPredictions(Tensor({1, 13, 10}), Tensor({1, 8, 16, 16}));
        },
        threads);
  });
  EXPECT_NE(message.find("a.png: the masks of its 2001 objects and crowds, 2401 million pixels"),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace marrow::train
