#include "marrow/loader/augment_options.h"

#include <gtest/gtest.h>

#include <vector>

namespace marrow::loader {
namespace {

// A value of its own for every field, so that none is mixed up.
TEST(AugmentOptions, EveryFieldIsTakenOver) {
  train::TrainOptions o;
  double value = 0;
  for (double* field : {&o.mosaic, &o.mixup, &o.cutmix, &o.flipud, &o.fliplr, &o.bgr, &o.copy_paste,
                        &o.degrees, &o.translate, &o.shear, &o.perspective, &o.hsv_h, &o.hsv_s, &o.hsv_v})
    *field = ++value;
  const AugmentSettings s = augment_settings_of(o);
  value = 0;
  for (const double field :
       {s.mosaic, s.mixup, s.cutmix, s.flipud, s.fliplr, s.bgr, s.copy_paste, s.perspective.degrees,
        s.perspective.translate, s.perspective.shear, s.perspective.perspective, s.hsv.h, s.hsv.s, s.hsv.v})
    EXPECT_EQ(field, ++value);
  const AugmentSettings by_default = augment_settings_of({}), preset;
  EXPECT_EQ(by_default.mosaic, preset.mosaic);
  EXPECT_EQ(by_default.fliplr, preset.fliplr);
  EXPECT_EQ(by_default.perspective.zoom, preset.perspective.zoom);
  o.scale = {0.25};
  EXPECT_EQ(augment_settings_of(o).perspective.zoom, (std::pair{0.75, 1.25}));
  o.scale = {0.25, 3};
  EXPECT_EQ(augment_settings_of(o).perspective.zoom, (std::pair{0.25, 3.0}));
  EXPECT_EQ(by_default.perspective.translate, preset.perspective.translate);
  EXPECT_EQ(by_default.hsv.s, preset.hsv.s);
}

TEST(AugmentOptions, AClassifierTakesItsOwn) {
  train::TrainOptions o;
  o.scale = {0.25};
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
  EXPECT_EQ(s.policy, AugmentPolicy::kRandAugment);
  EXPECT_FALSE(s.colours);
  o.auto_augment = "autoaugment";
  EXPECT_EQ(classification_augment_of(o).policy, AugmentPolicy::kAutoAugment);
  o.auto_augment = "augmix";
  EXPECT_EQ(classification_augment_of(o).policy, AugmentPolicy::kAugMix);
  EXPECT_FALSE(classification_augment_of(o).colours);
  o.auto_augment = "none";
  o.scale = {1};
  o.hsv_h = 0.7;
  const ClassificationAugment plain = classification_augment_of(o);
  EXPECT_EQ(plain.policy, AugmentPolicy::kNone);
  ASSERT_TRUE(plain.colours);
  EXPECT_EQ(plain.colours->h, 0.7);
  EXPECT_GT(plain.smallest_area, 0);
}

}  // namespace
}  // namespace marrow::loader
