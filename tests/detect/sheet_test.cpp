#include "marrow/detect/sheet.h"

#include <gtest/gtest.h>

#include <vector>

namespace marrow::detect {
namespace {

TEST(Sheet, LaysImagesOutNearlySquare) {
  std::vector<image::Image> pictures;
  for (int i = 0; i < 5; ++i) pictures.emplace_back(10 + i, 20, static_cast<uint8_t>(10 * i));
  const image::Image sheet = image_sheet(pictures);
  EXPECT_EQ(sheet.width(), 3 * 14 + 2 * 4);
  EXPECT_EQ(sheet.height(), 2 * 20 + 4);
  EXPECT_EQ(sheet.row(0)[0], 0);
  EXPECT_EQ(sheet.row(0)[3 * 10], 255);  // the first image is narrower than its cell
  EXPECT_EQ(sheet.row(0)[3 * 18], 10);
  EXPECT_EQ(sheet.row(24)[0], 30);
  EXPECT_EQ(sheet.row(24)[3 * 40], 255);  // no sixth image
}

TEST(Sheet, ShrinksToTheLargestSide) {
  const std::vector<image::Image> pictures(4, image::Image(100, 50, 7));
  const image::Image sheet = image_sheet(pictures, 104);
  EXPECT_EQ(sheet.width(), 104);
  EXPECT_EQ(sheet.height(), 2 * 25 + 4);
  EXPECT_EQ(sheet.row(0)[0], 7);
  EXPECT_GE(image_sheet(pictures, 1).width(), 1);
}

TEST(Sheet, OfNothingIsEmpty) {
  EXPECT_TRUE(image_sheet({}).empty());
  EXPECT_TRUE(image_sheet(std::vector<image::Image>(2)).empty());
  EXPECT_EQ(image_sheet(std::vector<image::Image>{image::Image(), image::Image(3, 3)}).height(), 3);
}

}  // namespace
}  // namespace marrow::detect
