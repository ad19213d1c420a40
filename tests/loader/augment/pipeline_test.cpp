#include "marrow/loader/augment/pipeline.h"

#include <gtest/gtest.h>

namespace marrow::loader {
namespace {

constexpr Size kTarget{32, 32};

image::Image noise(uint64_t seed) {
  image::Image image(32, 24);
  Random random(seed, "noise");
  for (size_t i = 0; i < image.byte_size(); ++i) image.row(0)[i] = static_cast<uint8_t>(random.below(256));
  return image;
}

// Eight images of one object each.
SampleSource source() {
  return {[](size_t index) {
            return SharedSample{std::make_shared<const image::Image>(noise(index)),
                                {{static_cast<int>(index), 8, 6, 24, 18, {{8, 6}, {24, 6}, {16, 18}}}}};
          },
          [](Random& random) { return static_cast<size_t>(random.below(8)); }};
}

TEST(Pipeline, WithoutChangesIsTheLetterbox) {
  const AugmentedSample sample = augment(AugmentSettings::none(), {1, 0, 0}, 3, kTarget, source());
  const Sample wanted = letterbox_sample(source().load(3), kTarget, true);
  EXPECT_TRUE(sample.sample.image == wanted.image);
  ASSERT_EQ(sample.sample.objects.size(), 1u);
  EXPECT_FLOAT_EQ(sample.sample.objects[0].box.y1, wanted.objects[0].box.y1);
  EXPECT_FALSE(sample.keep_bgr);
}

TEST(Pipeline, SeedEpochAndPositionEachChangeTheSample) {
  const auto image = [](RandomKey key) { return augment({}, key, 3, kTarget, source()).sample.image; };
  const image::Image wanted = image({1, 2, 3});
  EXPECT_TRUE(image({1, 2, 3}) == wanted);
  EXPECT_FALSE(image({2, 2, 3}) == wanted);
  EXPECT_FALSE(image({1, 3, 3}) == wanted);
  EXPECT_FALSE(image({1, 2, 4}) == wanted);
}

// Places have draws of their own: a flip leaves the mosaic as it was.
TEST(Pipeline, OneSettingDoesNotMoveTheDrawsOfAnother) {
  AugmentSettings settings;
  settings.fliplr = 0;
  const Sample straight = augment(settings, {1, 2, 3}, 3, kTarget, source()).sample;
  settings.fliplr = 1;
  const Sample flipped = augment(settings, {1, 2, 3}, 3, kTarget, source()).sample;
  for (int y = 0; y < kTarget.height; ++y)
    for (int x = 0; x < kTarget.width; ++x)
      ASSERT_EQ(straight.image.row(y)[3 * x], flipped.image.row(y)[3 * (kTarget.width - 1 - x)]);
}

TEST(Pipeline, ProbabilitiesAreKept) {
  AugmentSettings settings = AugmentSettings::none();
  settings.bgr = 0.25;
  int swapped = 0;
  for (int64_t position = 0; position < 2000; ++position)
    swapped += augment(settings, {1, 0, position}, 0, kTarget, source()).keep_bgr;
  EXPECT_NEAR(swapped, 500, 100);  // five standard deviations
}

TEST(Pipeline, MixupJoinsTwoSamplesWithDrawsOfTheirOwn) {
  AugmentSettings settings = AugmentSettings::none();
  settings.mixup = 1;
  int others = 0;
  for (int64_t position = 0; position < 50; ++position) {
    const Sample sample = augment(settings, {1, 0, position}, 0, kTarget, source()).sample;
    ASSERT_EQ(sample.objects.size(), 2u);
    EXPECT_EQ(sample.objects[0].class_id, 0);
    others += sample.objects[1].class_id != 0;
  }
  EXPECT_GT(others, 30);
}

TEST(Pipeline, WithoutJoiningKeepsTheRest) {
  AugmentSettings settings;
  settings.mixup = settings.cutmix = settings.copy_paste = 1;
  settings.fliplr = 0.3;
  const AugmentSettings closed = settings.without_joining();
  EXPECT_EQ(closed.mosaic + closed.mixup + closed.cutmix + closed.copy_paste, 0);
  EXPECT_EQ(closed.fliplr, 0.3);
  EXPECT_EQ(closed.hsv.s, settings.hsv.s);
}

TEST(Pipeline, EverythingAtOnceStaysInside) {
  AugmentSettings settings;
  settings.mosaic = 0.5;
  settings.mixup = settings.cutmix = settings.flipud = settings.bgr = settings.copy_paste = 0.5;
  settings.perspective = {
      .degrees = 180, .translate = 0.9, .zoom = {0, 2}, .shear = 80, .perspective = 0.001};
  settings.hsv = {1, 1, 1};
  for (int64_t position = 0; position < 300; ++position) {
    const Sample sample = augment(settings, {5, 0, position}, 1, kTarget, source()).sample;
    ASSERT_EQ(size_of(sample.image), kTarget);
    for (const Object& object : sample.objects) {
      EXPECT_GE(object.box.x1, 0);
      EXPECT_LE(object.box.x2, 32);
      EXPECT_GT(object.box.area(), 0);
    }
  }
}

}  // namespace
}  // namespace marrow::loader
