#include "loader/batch_sheet.h"

#include <gtest/gtest.h>

#include "detect/draw.h"
#include "loader/augment_options.h"

namespace marrow {
namespace {

DetectionBatch some_batch() {
  DetectionBatch batch;
  batch.images = Tensor({2, 3, 4, 8}, DType::kUInt8);
  auto bytes = batch.images.values<uint8_t>();
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  batch.targets =
      Tensor::from({2, 6}, std::vector<float>{1, 5, 0.5f, 0.5f, 0.25f, 0.5f, 1, 6, 0.1f, 0.1f, 0.2f, 0.2f});
  return batch;
}

TEST(BatchSheet, PicturesAreTurnedBackToBlueGreenRed) {
  const Image image = image_of_batch(some_batch().images, 1);
  EXPECT_EQ(image.width(), 8);
  EXPECT_EQ(image.height(), 4);
  EXPECT_EQ(image.row(0)[2], 96);  // red is the first plane
  EXPECT_EQ(image.row(0)[1], 96 + 32);
  EXPECT_EQ(image.row(3)[3 * 7], 96 + 95);  // blue's last
}

TEST(BatchSheet, TargetsAreInPixelsOfTheBatch) {
  const DetectionBatch batch = some_batch();
  EXPECT_TRUE(targets_of_batch(batch, 0).empty());
  const std::vector<Detection> boxes = targets_of_batch(batch, 1);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].class_id, 5);
  EXPECT_EQ(boxes[0].confidence, kNoConfidence);
  EXPECT_EQ(boxes[0].box, (BoxXyxy{3, 1, 5, 3}));
}

TEST(BatchSheet, FramesAClassifiersImages) {
  const Tensor images({2, 3, 16, 16}, DType::kUInt8);
  const std::vector<std::string> names = {"a", "b"};
  const Image sheet = class_sheet(images, std::vector{1, 0}, names);
  ASSERT_EQ(sheet.width(), 2 * 16 + 4);
  for (const int image : {0, 1}) {
    const auto colour = class_colour(1 - image);
    const uint8_t* corner = sheet.row(15) + 3 * (20 * image + 15);
    EXPECT_EQ((std::array<uint8_t, 3>{corner[0], corner[1], corner[2]}), colour) << image;
  }
}

TEST(BatchSheet, ShrinksToTheSideItIsTold) {
  EXPECT_LE(batch_sheet(some_batch(), std::vector<std::string>{}, 2, 12).width(), 12);
}

TEST(BatchSheet, ShowsAsManyAsItIsTold) {
  const std::vector<std::string> names = {"a", "b"};
  EXPECT_EQ(batch_sheet(some_batch(), names).width(), 2 * 8 + 4);
  EXPECT_EQ(batch_sheet(some_batch(), names, 1).width(), 8);
  EXPECT_EQ(batch_sheet(some_batch(), std::vector<std::vector<Detection>>(1), names).width(), 8);
}

// A value of its own for every field, so that none is mixed up.
TEST(AugmentOptions, EveryFieldIsTakenOver) {
  TrainOptions o;
  double value = 0;
  for (double* field :
       {&o.mosaic, &o.mixup, &o.cutmix, &o.flipud, &o.fliplr, &o.bgr, &o.copy_paste, &o.degrees, &o.translate,
        &o.scale, &o.shear, &o.perspective, &o.hsv_h, &o.hsv_s, &o.hsv_v})
    *field = ++value;
  const AugmentSettings s = augment_settings_of(o);
  value = 0;
  for (const double field : {s.mosaic, s.mixup, s.cutmix, s.flipud, s.fliplr, s.bgr, s.copy_paste,
                             s.perspective.degrees, s.perspective.translate, s.perspective.scale,
                             s.perspective.shear, s.perspective.perspective, s.hsv.h, s.hsv.s, s.hsv.v})
    EXPECT_EQ(field, ++value);
  const AugmentSettings by_default = augment_settings_of({}), preset;
  EXPECT_EQ(by_default.mosaic, preset.mosaic);
  EXPECT_EQ(by_default.fliplr, preset.fliplr);
  EXPECT_EQ(by_default.perspective.scale, preset.perspective.scale);
  EXPECT_EQ(by_default.perspective.translate, preset.perspective.translate);
  EXPECT_EQ(by_default.hsv.s, preset.hsv.s);
}

TEST(AugmentOptions, AClassifierTakesItsOwn) {
  TrainOptions o;
  o.scale = 0.25;
  o.fliplr = 0.1;
  o.flipud = 0.2;
  o.erasing = 0.3;
  o.mixup = 0.4;
  o.cutmix = 0.5;
  o.label_smoothing = 0.6;
  const ClassificationAugment s = classification_augment_of(o);
  EXPECT_EQ(
      (std::vector{s.smallest_area, s.fliplr, s.flipud, s.erasing, s.mixup, s.cutmix, s.label_smoothing}),
      (std::vector{0.75, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6}));
  EXPECT_TRUE(s.rand_augment);
  EXPECT_FALSE(s.colours);
  o.auto_augment = "none";
  o.scale = 1;
  o.hsv_h = 0.7;
  const ClassificationAugment plain = classification_augment_of(o);
  EXPECT_FALSE(plain.rand_augment);
  ASSERT_TRUE(plain.colours);
  EXPECT_EQ(plain.colours->h, 0.7);
  EXPECT_GT(plain.smallest_area, 0);
}

}  // namespace
}  // namespace marrow
