#include "marrow/geometry/input_format.h"

#include <gtest/gtest.h>

namespace marrow {
namespace {

TEST(SampleValues, AreScaledShiftedAndDividedOnce) {
  const InputFormat format = {
      .scale = 1.0 / 255, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
  const SampleValues values(format, {});
  for (size_t c = 0; c < 3; ++c)
    for (size_t byte = 0; byte < 256; ++byte)
      EXPECT_EQ(
          values.value(static_cast<int>(c), static_cast<uint8_t>(byte)),
          static_cast<float>((static_cast<double>(byte) * (1.0 / 255) - format.mean[c]) / format.std[c]));
  EXPECT_EQ(SampleValues({}, {}).value(2, uint8_t{255}), 1.0f);
}

TEST(SampleValues, Of16BitsAreThoseOf8BitsTimes257) {
  InputFormat wide = {.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
  const SampleValues bytes(wide, {3, 8});
  set_range(wide, {});
  const SampleValues values(wide, {3, 16});
  for (int c = 0; c < 3; ++c)
    for (int byte = 0; byte < 256; ++byte) {
      EXPECT_NEAR(values.value(c, static_cast<uint16_t>(byte * 257)),
                  bytes.value(c, static_cast<uint8_t>(byte)), 1e-6);
      EXPECT_EQ(values.ground(c, static_cast<uint8_t>(byte)),
                values.value(c, static_cast<uint16_t>(byte * 257)));
    }
}

TEST(SampleValues, OfOtherNumbersOfChannelsComeAsStoredAndUnshifted) {
  const SampleValues values({.mean = {0.5, 0.5, 0.5}}, {5, 8});
  for (int c = 0; c < 5; ++c) {
    EXPECT_EQ(values.stored_channel(c), c);
    EXPECT_EQ(values.value(c, uint8_t{255}), 1.0f);
  }
  EXPECT_EQ(SampleValues({}, {3, 8}).stored_channel(0), 2);
}

TEST(ClassifierFormat, KeepsTheProportionOfResizeToCrop) {
  const InputFormat own = {.resize = 256, .crop = 224};
  EXPECT_EQ(classifier_format(own, 0), own);
  const InputFormat half = classifier_format(own, 112);
  EXPECT_EQ(half.resize, 128);
  EXPECT_EQ(half.crop, 112);
  EXPECT_EQ(classifier_format(half, 112), half);
  EXPECT_EQ(classifier_format({}, 0).crop, kDefaultCrop);
  EXPECT_EQ(classifier_format({}, 0).resize, kDefaultCrop);
}

}  // namespace
}  // namespace marrow
