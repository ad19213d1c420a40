#include "marrow/loader/batch_sheet.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "marrow/detect/draw.h"

namespace marrow::loader {
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

TEST(BatchSheet, ImagesAreTurnedBackToBlueGreenRed) {
  const image::Image image = image_of_batch(some_batch().images, 1);
  EXPECT_EQ(image.width(), 8);
  EXPECT_EQ(image.height(), 4);
  EXPECT_EQ(image.row(0)[2], 96);  // red is the first plane
  EXPECT_EQ(image.row(0)[1], 96 + 32);
  EXPECT_EQ(image.row(3)[3 * 7], 96 + 95);  // blue's last
}

TEST(BatchSheet, TargetsAreInPixelsOfTheBatch) {
  const DetectionBatch batch = some_batch();
  EXPECT_TRUE(targets_of_batch(batch, 0).empty());
  const std::vector<detect::InputDetection> boxes = targets_of_batch(batch, 1);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].class_id, 5);
  EXPECT_EQ(boxes[0].confidence, detect::kNoConfidence);
  EXPECT_EQ(boxes[0].box, (Box<InputPixels>{3, 1, 5, 3}));
}

TEST(BatchSheet, FramesAClassifiersImages) {
  const Tensor images({2, 3, 16, 16}, DType::kUInt8);
  const std::vector<std::string> names = {"a", "b"};
  const image::Image sheet = class_sheet(images, std::vector{1, 0}, names);
  ASSERT_EQ(sheet.width(), 2 * 320 + 4);
  for (const int image : {0, 1}) {
    const auto colour = detect::class_colour(1 - image);
    const uint8_t* corner = sheet.row(319) + 3 * (324 * image + 319);
    EXPECT_EQ((std::array<uint8_t, 3>{corner[0], corner[1], corner[2]}), colour) << image;
  }
}

TEST(BatchSheet, ShrinksToTheSideItIsTold) {
  EXPECT_LE(batch_sheet(some_batch(), std::vector<std::string>{}, 2, 12).width(), 12);
}

TEST(BatchSheet, ShowsAsManyAsItIsTold) {
  const std::vector<std::string> names = {"a", "b"};
  EXPECT_EQ(batch_sheet(some_batch(), names).width(), 2 * 320 + 4);
  EXPECT_EQ(batch_sheet(some_batch(), names, 1).width(), 320);
  EXPECT_EQ(batch_sheet(some_batch(), std::vector<DrawnDetections>(1), names).width(), 320);
}

TEST(BatchSheet, DrawsSmallImagesLargerWithTheirBoxes) {
  DetectionBatch batch;
  batch.images = Tensor({1, 3, 128, 128}, DType::kUInt8);
  batch.targets = Tensor::from({1, 6}, std::vector<float>{0, 0, 0.5f, 0.5f, 0.5f, 0.5f});
  const std::vector<std::string> names = {"a"};
  const image::Image sheet = batch_sheet(batch, names);
  ASSERT_EQ(sheet.width(), 3 * 128);
  const uint8_t* left_line = sheet.row(3 * 64) + 3 * (3 * 32);
  EXPECT_EQ((std::array<uint8_t, 3>{left_line[0], left_line[1], left_line[2]}), detect::class_colour(0));
  EXPECT_EQ(batch_sheet(batch, names, 1, 300).width(), 2 * 128);  // where the sheet has no more room
}

TEST(BatchSheet, ColoursTheMasksOfEveryImage) {
  DetectionBatch batch;
  batch.images = Tensor({2, 3, 320, 320}, DType::kUInt8);
  batch.targets = Tensor::from({3, 6}, std::vector<float>{0, 0, 0.5f, 0.5f, 1, 1,  //
                                                          1, 1, 0.5f, 0.5f, 1, 1,  //
                                                          1, 2, 0.5f, 0.5f, 1, 1});
  const auto pixel = [&](int image, int x, int y) {
    const image::Image sheet = batch_sheet(batch, std::vector<std::string>{"a", "b", "c"});
    const uint8_t* at = sheet.row(y) + 3 * (324 * image + x);
    return std::array<uint8_t, 3>{at[0], at[1], at[2]};
  };
  const auto half = [](int class_id) {
    std::array<uint8_t, 3> colour = detect::class_colour(class_id);
    for (uint8_t& level : colour) level = static_cast<uint8_t>(std::lround(level / 2.0f));
    return colour;
  };
  // Overlapping: a picture an image. Below its middle the second image shows its second object.
  batch.masks = Tensor({2, 80, 80}, DType::kInt32);
  const auto masks = batch.masks.values<int32_t>();
  std::fill(masks.begin(), masks.end(), 1);
  std::fill(masks.end() - 40 * 80, masks.end(), 2);
  EXPECT_EQ(pixel(0, 160, 260), half(0));
  EXPECT_EQ(pixel(1, 160, 100), half(1));
  EXPECT_EQ(pixel(1, 160, 260), half(2));
  // Separate: a mask an object.
  batch.overlapping_masks = false;
  batch.masks = Tensor({3, 80, 80}, DType::kInt32);
  std::ranges::fill(batch.masks.values<int32_t>().subspan(2 * 80 * 80), 1);
  EXPECT_EQ(pixel(0, 160, 260), (std::array<uint8_t, 3>{}));
  EXPECT_EQ(pixel(1, 160, 260), half(2));
}

TEST(BatchSheet, HatchesRegionsToIgnore) {
  DetectionBatch batch;
  batch.images = Tensor({2, 3, 320, 320}, DType::kUInt8);
  batch.targets = Tensor({0, 6});
  batch.ignored = Tensor::from({1, 5}, std::vector<float>{1, 0.25f, 0.25f, 0.5f, 0.5f});
  const image::Image sheet = batch_sheet(batch, std::vector<std::string>{"a"});
  const auto grey_pixels = [&](int left, int top) {
    int count = 0;
    for (int y = top; y < top + 160; ++y)
      for (int x = left; x < left + 160; ++x) count += sheet.row(y)[3 * x] != 0;
    return count;
  };
  EXPECT_EQ(grey_pixels(0, 0), 0);  // of the other image
  EXPECT_GT(grey_pixels(324, 0), 160 * 160 / 8);
  EXPECT_LT(grey_pixels(324, 0), 160 * 160 / 4);
  EXPECT_EQ(grey_pixels(324 + 161, 0), 0);
}

}  // namespace
}  // namespace marrow::loader
