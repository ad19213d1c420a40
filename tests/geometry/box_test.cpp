#include "marrow/geometry/box.h"

#include <gtest/gtest.h>

#include <limits>
#include <type_traits>

namespace marrow {
namespace {

TEST(Box, FormsDescribeTheSameRectangle) {
  const Box<ImagePixels> box = {10, 20, 30, 60};
  EXPECT_EQ((CentredBox<ImagePixels>{20, 40, 20, 40}.corner_form()), box);
  EXPECT_EQ((SizedBox<ImagePixels>{10, 20, 20, 40}.corner_form()), box);
  EXPECT_EQ(Box<ImagePixels>::from_corners(box.corners()), box);
  EXPECT_EQ(box.width(), 20);
  EXPECT_EQ(box.height(), 40);
  EXPECT_EQ(box.area(), 800);
  EXPECT_EQ((SizedBox<ImagePixels>{10, 20, 20, 40}.area()), 800);
}

// One space is never taken for another.
TEST(Box, SpacesDoNotMix) {
  EXPECT_FALSE((std::is_convertible_v<Box<InputPixels>, Box<ImagePixels>>));
  EXPECT_FALSE((std::is_constructible_v<Box<ImagePixels>, Box<InputPixels>>));
  EXPECT_FALSE((std::is_assignable_v<Box<ImagePixels>&, Box<Normalised>>));
  EXPECT_FALSE((std::is_convertible_v<CentredBox<Normalised>, CentredBox<ImagePixels>>));
  EXPECT_FALSE((std::is_convertible_v<Point<Normalised>, Point<ImagePixels>>));
}

TEST(Box, IsFiniteWhereEveryCornerIs) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(is_finite(Box<InputPixels>{0, -1, 2, 3}));
  EXPECT_FALSE(is_finite(Box<InputPixels>{0, 0, kInfinity, 3}));
  EXPECT_FALSE(is_finite(Box<InputPixels>{0, std::numeric_limits<float>::quiet_NaN(), 1, 3}));
}

}  // namespace
}  // namespace marrow
