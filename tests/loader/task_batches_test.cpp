// Batches of outlines, keypoints and turned boxes.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "marrow/loader/batch_sheet.h"
#include "marrow/loader/detection_loader.h"
#include "support/message_of.h"
#include "temporary_images.h"

namespace marrow::loader {
namespace {

using testing::message_of;

std::shared_ptr<ImageStore> store_of(std::vector<data::LabelledImage> images, Task task) {
  for (data::LabelledImage& image : images) {
    if (task == Task::kPose) {
      image.polygons.clear();
      image.keypoints.assign(image.labels.size() * 3, {.5, .5, 2});
    }
    if (!has_outlines(task)) continue;
    image.polygons.clear();
    for (const data::Label& label : image.labels) image.polygons.push_back(data::box_polygon(label));
  }
  return std::make_shared<ImageStore>(
      std::move(images), ImageStoreOptions{.image_size = 64, .cache = ImageCache::kAll, .task = task});
}

class TaskBatches : public ::testing::TestWithParam<Task> {};

TEST_P(TaskBatches, HoldWhatTheLossNeeds) {
  testing::TemporaryImages folder;
  folder.add_some(6);
  const Task task = GetParam();
  for (const bool augmented : {false, true}) {
    DetectionLoaderOptions options{.batch = 3, .workers = 2, .seed = 5};
    if (augmented) options.augment = AugmentSettings{.flipud = 0.5, .copy_paste = 0.5};
    DetectionLoader loader(store_of(folder.images, task), options);
    int64_t rows = 0, marked = 0;
    while (const std::optional<DetectionBatch> batch = loader.next()) {
      const int64_t count = batch->targets.dim(0);
      rows += count;
      EXPECT_EQ(batch->targets.dim(1), task == Task::kObb ? 7 : 6);
      if (task == Task::kSegment) {
        EXPECT_EQ(batch->masks.shape(), (Shape{batch->images.dim(0), 16, 16}));
        // Pixels have the numbers of rows.
        std::vector<int64_t> of_image(static_cast<size_t>(batch->images.dim(0)));
        for (int64_t i = 0; i < count; ++i)
          ++of_image[static_cast<size_t>(batch->targets.values()[static_cast<size_t>(i) * 6])];
        const auto masks = batch->masks.values<int32_t>();
        for (size_t p = 0; p < masks.size(); ++p) {
          EXPECT_LE(masks[p], of_image[p / 256]);
          marked += masks[p] > 0;
        }
      }
      if (task == Task::kPose) {
        EXPECT_EQ(batch->keypoints.shape(), (Shape{count, 3, 3}));
      }
      EXPECT_FALSE(batch_sheet(*batch, std::vector<std::string>{"a", "b", "c"}).empty());
    }
    EXPECT_GT(rows, 0);
    EXPECT_EQ(marked > 0, task == Task::kSegment);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TaskBatches,
                         ::testing::Values(Task::kDetect, Task::kSegment, Task::kPose, Task::kObb),
                         [](const auto& info) { return task_name(info.param); });

TEST(TaskTargets, OfATurnedBoxAreItsOwnSidesWhateverItsAngle) {
  const auto corners = RotatedBox<ImagePixels>{32, 16, 20, 8, std::numbers::pi_v<float> / 6}.corners();
  BatchRows rows(Task::kObb);
  rows.add(std::array{Object{2, {}, {corners.begin(), corners.end()}}}, {}, {64, 32});
  DetectionBatch batch;
  std::move(rows).move_into(batch, {64, 32});
  const auto row = batch.targets.values();
  const float wanted[] = {0, 2, .5f, .5f, 20.f / 64, 8.f / 32, std::numbers::pi_v<float> / 6};
  for (size_t i = 0; i < 7; ++i) EXPECT_NEAR(row[i], wanted[i], 1e-5) << i;
}

TEST(TaskTargets, SeparateMasksAreBounded) {
  std::vector<Object> objects(100'000, Object{0, {}, {{1, 1}, {2, 1}, {2, 2}}});
  EXPECT_NE(message_of([&] {
              draw_masks(objects, {640, 640}, {.overlap = false});
            }).find("do not fit"),
            std::string::npos);
}

TEST(TaskTargets, NoFileTakesTheMemoryOfMillionsOfPoints) {
  data::LabelledImage labels;
  labels.labels.assign(2000, {0, .5, .5, .2, .2});
  labels.polygons.assign(2000, data::Polygon(4, {.5, .5}));
  labels.polygons[0].assign(1'000'000, {.25, .5});
  size_t points = 0;
  for (const Object& object : objects_of(labels, {64, 64}, Task::kSegment)) points += object.polygon.size();
  EXPECT_LE(points, size_t{1} << 22);
}

TEST(TaskTargets, PosesWithoutFlipIndicesAreNeverMirrored) {
  testing::TemporaryImages folder;
  folder.add_some(2);
  DetectionLoaderOptions options{.batch = 2};
  options.augment = AugmentSettings::none();
  const auto images_with = [&](double fliplr) {
    options.augment->fliplr = fliplr;
    const Tensor images = DetectionLoader(store_of(folder.images, Task::kPose), options).next()->images;
    return std::vector<std::byte>(images.bytes(), images.bytes() + images.byte_size());
  };
  EXPECT_EQ(images_with(1), images_with(0));
  options.augment->flip_idx = {0, 2, 1};
  EXPECT_NE(images_with(1), images_with(0));
}

}  // namespace
}  // namespace marrow::loader
