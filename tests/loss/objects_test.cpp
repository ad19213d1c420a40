#include "marrow/loss/objects.h"

#include <gtest/gtest.h>

#include <limits>

#include "marrow/base/error.h"
#include "support/expect_says.h"
#include "support/head_maps.h"

namespace marrow::loss {
namespace {

using testing::rows_of;

TEST(Objects, AreGroupedByImageInTheirOrder) {
  const Objects objects = group_objects(rows_of(6, {2, 4, .5, .5, .5, .5,  //
                                                    0, 1, .5, .25, 1, .5,  //
                                                    2, 3, .25, .5, .125, .25}),
                                        3, 5, 64, 32);
  EXPECT_EQ(objects.first, (std::vector<int64_t>{0, 1, 1, 3}));
  EXPECT_EQ(objects.labels, (std::vector<int64_t>{1, 4, 3}));
  EXPECT_EQ(objects.boxes[0], (BoxXyxy{0, 0, 64, 16}));
  EXPECT_EQ(objects.boxes[1], (BoxXyxy{16, 8, 48, 24}));
  EXPECT_EQ(objects.boxes[2], (BoxXyxy{12, 12, 20, 20}));
}

TEST(Objects, ABoxOfNothingIsNotValid) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Objects objects =
      group_regions(rows_of(5, {0, 0, 0, 0, 0, 0, .5, .5, 0, 0, 0, .5, nan, .1f, .1f}), 1, 8, 8);
  EXPECT_FALSE(objects.valid(0));
  EXPECT_TRUE(objects.valid(1));
  EXPECT_FALSE(objects.valid(2));
}

TEST(Objects, RowsThatDoNotFitAreErrors) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto group = [](float image, float label) {
    return group_objects(rows_of(6, {0, 0, .5, .5, .1f, .1f, image, label, .5, .5, .1f, .1f}), 2, 3, 8, 8);
  };
  EXPECT_NO_THROW(group(1, 2));
  for (const float bad : {-1.0f, 3.0f, 1e30f, -1e30f, nan}) {
    EXPECT_THROW(group(bad, 0), Error) << bad;
    EXPECT_THROW(group(0, bad), Error) << bad;
    EXPECT_THROW(group_regions(rows_of(5, {bad, .5, .5, .1f, .1f}), 2, 8, 8), Error) << bad;
  }
  EXPECT_THROW(group_objects(Tensor({2, 5}), 2, 3, 8, 8), Error);
  EXPECT_THROW(group_objects(Tensor({2, 6}, DType::kFloat64), 2, 3, 8, 8), Error);
  EXPECT_THROW(group_objects(Tensor(), 2, 3, 8, 8), Error);
  EXPECT_THROW(group_regions(Tensor({2, 6}), 2, 8, 8), Error);
  EXPECT_EQ(group_regions(Tensor(), 2, 8, 8).size(), 0);
}

}  // namespace
}  // namespace marrow::loss
