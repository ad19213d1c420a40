#include "marrow/detect/letterbox.h"

#include <gtest/gtest.h>

#include "marrow/detect/network_input.h"
#include "marrow/detect/rect_batches.h"

namespace marrow::detect {
namespace {

TEST(Letterbox, PadsThePictureIntoTheMiddle) {
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

TEST(Letterbox, ThinPicturesKeepOnePixel) {
  for (Size picture : {Size{4000, 1}, Size{1, 4000}, Size{65500, 3}}) {
    Letterbox box = letterbox_geometry(picture, {640, 640}, {.minimum_rectangle = true});
    EXPECT_GE(box.resized.width, 1);
    EXPECT_GE(box.resized.height, 1);
    EXPECT_EQ(box.out.width % 32, 0);
    EXPECT_EQ(box.out.height % 32, 0);
    image::Image out = letterbox(image::Image(picture.width, picture.height, 9), box);
    EXPECT_EQ(out.row(box.top)[box.left * 3], 9);
  }
  EXPECT_EQ(letterbox_geometry({4000, 1}, {640, 640}, {.keep_one_pixel = false}).resized.height, 0);
}

TEST(Letterbox, GroundIsGrey) {
  image::Image out = letterbox(image::Image(4, 2, 200), letterbox_geometry({4, 2}, {4, 4}));
  EXPECT_EQ(out.row(0)[0], 114);
  EXPECT_EQ(out.row(1)[11], 200);
  EXPECT_EQ(out.row(2)[0], 200);
  EXPECT_EQ(out.row(3)[11], 114);
}

TEST(ScaleBoxes, UndoesTheLetterboxAndStaysInside) {
  std::vector<BoxXyxy> boxes = {{0, 140, 640, 500}, {-50, 0, 700, 640}, {320, 320, 330, 330}};
  scale_boxes(boxes, {640, 640}, {1280, 720});
  EXPECT_EQ(boxes[0], (BoxXyxy{0, 0, 1280, 720}));
  EXPECT_EQ(boxes[1], (BoxXyxy{0, 0, 1280, 720}));
  EXPECT_EQ(boxes[2], (BoxXyxy{640, 360, 660, 380}));
}

TEST(NetworkInput, ChannelsAreNormalisedInTheNetworksOrder) {
  image::Image image(2, 1);
  const uint8_t pixels[] = {10, 20, 255, 40, 50, 60};  // blue, green, red
  std::copy_n(pixels, 6, image.row(0));
  std::vector<float> chw(6);
  fill_network_input(image.pixels(), {}, chw.data());
  EXPECT_EQ(chw, (std::vector<float>{1.0f, 60 / 255.0f, 20 / 255.0f, 50 / 255.0f, 10 / 255.0f, 40 / 255.0f}));
  fill_network_input(image.pixels(), {.rgb = false, .scale = 1.0, .mean = {10, 20, 55}, .std = {1, 2, 4}},
                     chw.data());
  EXPECT_EQ(chw, (std::vector<float>{0, 30, 0, 15, 50, 1.25}));
}

// Each byte over 255 as division in float32 gives it.
TEST(NetworkInput, EqualsDivisionBy255) {
  image::Image image(256, 1);
  for (int i = 0; i < 256 * 3; ++i) image.row(0)[i] = static_cast<uint8_t>(i / 3);
  std::vector<float> chw(3 * 256);
  fill_network_input(image.pixels(), {}, chw.data());
  for (int i = 0; i < 256; ++i) EXPECT_EQ(chw[static_cast<size_t>(i)], static_cast<float>(i) / 255.0f);
}

TEST(NetworkInput, LetterboxAndNormalisationInOnePassAreTheSame) {
  image::Image image(37, 23);
  for (int y = 0; y < 23; ++y)
    for (size_t i = 0; i < image.row_bytes(); ++i)
      image.row(y)[i] = static_cast<uint8_t>(31 * i + 7 * i * i + 89 * static_cast<size_t>(y));
  const PixelFormat formats[] = {{}, {.rgb = false, .scale = 1.0, .mean = {10, 20, 55}, .std = {1, 2, 4}}};
  for (const Size target : {Size{64, 64}, Size{16, 40}, Size{37, 23}, Size{1, 1}})
    for (const PixelFormat& format : formats) {
      const Letterbox geometry = letterbox_geometry({37, 23}, target);
      const auto values = static_cast<size_t>(3 * geometry.out.width * geometry.out.height);
      std::vector<float> together(values, -1), apart(values);
      fill_letterboxed(image, geometry, format, together.data());
      fill_network_input(letterbox(image, geometry).pixels(), format, apart.data());
      EXPECT_EQ(together, apart) << target.width;
    }
}

TEST(RectBatches, EqualShapesKeepTheirOrder) {
  std::vector<Size> pictures(5, Size{640, 480});
  RectBatches batches = rect_batches(pictures, 2, 640, 32, 0.5);
  EXPECT_EQ(batches.order, (std::vector<size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batches.batch_sizes, std::vector<Size>(3, Size{672, 512}));
  EXPECT_TRUE(rect_batches({}, 2, 640, 32, 0.5).order.empty());
}

}  // namespace
}  // namespace marrow::detect
