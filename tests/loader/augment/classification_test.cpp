#include "marrow/loader/augment/classification.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "marrow/loader/augment/rand_augment.h"

namespace marrow::loader {
namespace {

image::Image noise(int width, int height) {
  image::Image image(width, height);
  Random random(1, "noise");
  for (size_t i = 0; i < image.byte_size(); ++i) image.row(0)[i] = static_cast<uint8_t>(random.below(256));
  return image;
}

TEST(Classification, CropsAreInsideAndOfTheWantedShape) {
  Random random(1, "crops");
  for (const Size picture : {Size{100, 80}, Size{33, 500}, Size{1, 1}, Size{2000, 3}})
    for (int i = 0; i < 200; ++i) {
      const PixelPart crop = draw_crop(picture, 0.08, random);
      EXPECT_GE(crop.x, 0);
      EXPECT_GE(crop.y, 0);
      ASSERT_GE(crop.width, 1);
      ASSERT_GE(crop.height, 1);
      EXPECT_LE(crop.x + crop.width, picture.width);
      EXPECT_LE(crop.y + crop.height, picture.height);
      if (picture.width == 100) {
        EXPECT_GE(crop.width * crop.height, 0.07 * 8000);
        EXPECT_LT(std::max(crop.width, crop.height), 1.45 * std::min(crop.width, crop.height));
      }
    }
}

TEST(Classification, CropOfAThinImageIsItsMiddle) {
  Random random(1, "crops");
  const PixelPart crop = draw_crop({2000, 3}, 0.08, random);
  EXPECT_EQ(crop.height, 3);
  EXPECT_EQ(crop.width, 4);
  EXPECT_EQ(crop.x, 998);
}

TEST(Classification, IsAFunctionOfTheKey) {
  const image::Image image = noise(50, 40);
  ClassificationAugment settings;
  const RandomKey key{1, 2, 3};
  EXPECT_TRUE(augment_for_classifier(image, settings, key, 24) ==
              augment_for_classifier(image, settings, key, 24));
  int equal = 0;
  for (int64_t position = 4; position < 14; ++position)
    equal += augment_for_classifier(image, settings, key, 24) ==
             augment_for_classifier(image, settings, {1, 2, position}, 24);
  EXPECT_EQ(equal, 0);
}

TEST(Classification, ColoursChangeOnlyWhenAsked) {
  const image::Image image = noise(24, 24);
  ClassificationAugment settings{
      .smallest_area = 1, .fliplr = 0, .policy = AugmentPolicy::kNone, .erasing = 0};
  EXPECT_TRUE(augment_for_classifier(image, settings, {1, 2, 3}, 24) == image);
  settings.colours = image::HsvRange{.h = 0.5, .s = 0.5, .v = 0.5};
  EXPECT_FALSE(augment_for_classifier(image, settings, {1, 2, 3}, 24) == image);
}

TEST(Classification, ABatchGetsOneMixAtMost) {
  const auto shares = [](double mixup, double cutmix) {
    std::array<int, 3> counts = {};
    for (int i = 0; i < 1000; ++i)
      ++counts[static_cast<size_t>(chosen_mix({.mixup = mixup, .cutmix = cutmix}, i / 1000.0))];
    return counts;
  };
  EXPECT_EQ(shares(0, 0), (std::array{1000, 0, 0}));
  EXPECT_EQ(shares(0.25, 0.5), (std::array{250, 250, 500}));
  EXPECT_EQ(shares(1, 1), (std::array{0, 500, 500}));
}

TEST(Classification, CutmixPastesARectangleAndTellsWhatIsLeft) {
  Random random(1, "cutmix");
  const Size picture = {8, 5};
  double left = 0;
  for (int i = 0; i < 500; ++i) {
    const PixelPart part = draw_cutmix(picture, random);
    std::vector<uint8_t> a(3 * 40, 1);
    const std::vector<uint8_t> b(3 * 40, 0);
    const double share = paste_rectangle<uint8_t>(a, b, picture, part);
    for (int y = 0; y < 5; ++y)
      for (int x = 0; x < 8; ++x) {
        const bool inside = x >= part.x && x < part.x + part.width && y >= part.y && y < part.y + part.height;
        for (int plane = 0; plane < 3; ++plane)
          ASSERT_EQ(a[static_cast<size_t>(plane * 40 + y * 8 + x)], inside ? 0 : 1);
      }
    EXPECT_NEAR(share, std::accumulate(a.begin(), a.end(), 0) / 120.0, 1e-12);
    left += share / 500;
  }
  // Half of the image would go, and clipping leaves more.
  EXPECT_GT(left, 0.5);
  EXPECT_LT(left, 0.9);
}

TEST(Classification, EveryOperationTakesTheSmallestImages) {
  for (int operation = 0; operation <= static_cast<int>(AugmentOperation::kInvert); ++operation)
    for (const double strength : {-1.0, 0.0, 0.3, 1.0})
      for (const auto& [width, height] : {std::array{1, 1}, {1, 7}, {2, 2}, {31, 5}}) {
        image::Image image = noise(width, height);
        apply_operation(image, static_cast<AugmentOperation>(operation), strength);
        EXPECT_EQ(image.width(), width);
        EXPECT_EQ(image.height(), height);
      }
}

TEST(Classification, NoStrengthChangesNothing) {
  const image::Image image = noise(17, 9);
  for (int operation = 0; operation < static_cast<int>(AugmentOperation::kAutoContrast); ++operation) {
    image::Image changed = image;
    apply_operation(changed, static_cast<AugmentOperation>(operation), 0);
    // Solarising from 255 on turns white black: that is its zero.
    if (operation == static_cast<int>(AugmentOperation::kSolarize))
      for (size_t i = 0; i < image.byte_size(); ++i)
        changed.row(0)[i] = image.row(0)[i] == 255 ? 255 : changed.row(0)[i];
    EXPECT_TRUE(changed == image) << operation;
  }
}

TEST(Classification, OperationsDoWhatTheirNamesSay) {
  const auto after = [](AugmentOperation operation, double strength, std::array<uint8_t, 6> bytes) {
    image::Image image(2, 1);
    std::ranges::copy(bytes, image.row(0));
    apply_operation(image, operation, strength);
    std::ranges::copy_n(image.row(0), 6, bytes.begin());
    return bytes;
  };
  using Bytes = std::array<uint8_t, 6>;
  const Bytes two = {10, 20, 30, 200, 100, 255};
  EXPECT_EQ(after(AugmentOperation::kBrightness, 1, two), (Bytes{19, 38, 57, 255, 190, 255}));
  EXPECT_EQ(after(AugmentOperation::kSolarize, 0.5, two), (Bytes{10, 20, 30, 55, 100, 0}));
  EXPECT_EQ(after(AugmentOperation::kPosterize, 1, two), (Bytes{0, 16, 16, 192, 96, 240}));
  EXPECT_EQ(after(AugmentOperation::kAutoContrast, 1, two), (Bytes{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(after(AugmentOperation::kInvert, 1, two), (Bytes{245, 235, 225, 55, 155, 0}));
  EXPECT_EQ(after(AugmentOperation::kTranslateX, 1 / kTranslateShare / 2, two),
            (Bytes{114, 114, 114, 10, 20, 30}));
}

TEST(Classification, EqualizeSpreadsTheValues) {
  image::Image image(256, 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 256; ++x)
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<uint8_t>(x / 4 + 100);
  apply_operation(image, AugmentOperation::kEqualize, 1);
  EXPECT_LT(image.row(0)[0], 5);
  EXPECT_GT(image.row(0)[3 * 255], 250);
  EXPECT_NEAR(image.row(0)[3 * 128], 128, 5);
}

TEST(Classification, TargetsSumToOne) {
  std::array<float, 4> a{}, b{};
  smooth_target(1, 0.1, a);
  EXPECT_FLOAT_EQ(a[1], 0.925f);
  EXPECT_FLOAT_EQ(a[0], 0.025f);
  smooth_target(2, 0, b);
  mix_targets(a, b, 0.25);
  EXPECT_FLOAT_EQ(std::accumulate(a.begin(), a.end(), 0.0f), 1);
  EXPECT_FLOAT_EQ(a[2], 0.75f + 0.25f * 0.025f);
  std::array<uint8_t, 2> x = {10, 255};
  mix_samples<uint8_t>(x, std::array<uint8_t, 2>{20, 255}, 0.5);
  EXPECT_EQ(x, (std::array<uint8_t, 2>{15, 255}));
}

}  // namespace
}  // namespace marrow::loader
