#include "marrow/geometry/letterbox.h"

#include <gtest/gtest.h>

#include "marrow/geometry/rect_batches.h"

namespace marrow {
namespace {

TEST(Letterbox, PadsTheImageIntoTheMiddle) {
  Letterbox box = letterbox_geometry({1280, 720}, {640, 640});
  EXPECT_EQ(box.resized, (Size{640, 360}));
  EXPECT_EQ(box.top, 140);
  EXPECT_EQ(box.bottom, 140);
  EXPECT_EQ(box.out, (Size{640, 640}));
  EXPECT_EQ(letterbox_geometry({1280, 720}, {640, 640}, {.minimum_rectangle = true}).out, (Size{640, 384}));
}

TEST(Letterbox, OddPaddingGoesBelowAndToTheRight) {
  Letterbox box = letterbox_geometry({10, 10}, {10, 13});
  EXPECT_EQ(box.top, 1);
  EXPECT_EQ(box.bottom, 2);
}

TEST(Letterbox, ThinImagesKeepOnePixel) {
  for (Size picture : {Size{4000, 1}, Size{1, 4000}, Size{65500, 3}}) {
    Letterbox box = letterbox_geometry(picture, {640, 640}, {.minimum_rectangle = true});
    EXPECT_GE(box.resized.width, 1);
    EXPECT_GE(box.resized.height, 1);
    EXPECT_EQ(box.out.width % 32, 0);
    EXPECT_EQ(box.out.height % 32, 0);
  }
  EXPECT_EQ(letterbox_geometry({4000, 1}, {640, 640}, {.keep_one_pixel = false}).resized.height, 0);
}

TEST(ToImage, UndoesTheLetterboxAndStaysInside) {
  const Size image = {1280, 720};
  const RatioPad how = assumed_ratio_pad({640, 640}, image);
  EXPECT_EQ(to_image({0, 140, 640, 500}, how, image), (Box<ImagePixels>{0, 0, 1280, 720}));
  EXPECT_EQ(to_image({-50, 0, 700, 640}, how, image), (Box<ImagePixels>{0, 0, 1280, 720}));
  EXPECT_EQ(to_image({320, 320, 330, 330}, how, image), (Box<ImagePixels>{640, 360, 660, 380}));
}

TEST(RectBatches, EqualShapesKeepTheirOrder) {
  std::vector<Size> pictures(5, Size{640, 480});
  RectBatches batches = rect_batches(pictures, 2, 640, 32, 0.5);
  EXPECT_EQ(batches.order, (std::vector<size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batches.batch_sizes, std::vector<Size>(3, Size{672, 512}));
  EXPECT_TRUE(rect_batches({}, 2, 640, 32, 0.5).order.empty());
}

}  // namespace
}  // namespace marrow
