#include "marrow/geometry/input_format.h"

#include <gtest/gtest.h>

namespace marrow {
namespace {

TEST(ByteValues, AreScaledShiftedAndDividedOnce) {
  const InputFormat format = {
      .scale = 1.0 / 255, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
  const ByteValues values = byte_values(format);
  for (size_t c = 0; c < 3; ++c)
    for (size_t byte = 0; byte < 256; ++byte)
      EXPECT_EQ(
          values[c][byte],
          static_cast<float>((static_cast<double>(byte) * (1.0 / 255) - format.mean[c]) / format.std[c]));
  EXPECT_EQ(byte_values({})[2][255], 1.0f);
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
