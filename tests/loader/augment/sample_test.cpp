#include "marrow/loader/augment/sample.h"

#include <gtest/gtest.h>

#include <cmath>

#include "marrow/geometry/letterbox.h"

namespace marrow::loader {
namespace {

TEST(Sample, NormalisedBoxesComeBack) {
  const Box<ImagePixels> pixels = to_pixels({0.5f, 0.25f, 0.2f, 0.1f}, {200, 400});
  EXPECT_FLOAT_EQ(pixels.x1, 80);
  EXPECT_FLOAT_EQ(pixels.y1, 80);
  EXPECT_FLOAT_EQ(pixels.x2, 120);
  EXPECT_FLOAT_EQ(pixels.y2, 120);
  const CentredBox<Normalised> box = normalised(pixels, {200, 400});
  EXPECT_FLOAT_EQ(box.cx, 0.5f);
  EXPECT_FLOAT_EQ(box.cy, 0.25f);
  EXPECT_FLOAT_EQ(box.width, 0.2f);
  EXPECT_FLOAT_EQ(box.height, 0.1f);
}

TEST(Sample, ClippingDropsWhatIsOutsideAndWhatIsNotANumber) {
  std::vector<Object> objects = {
      {0, -5, -5, 5, 5, {}},                         // partly outside
      {1, 10, 2, 30, 8, {}},                         // touches the border with no area inside
      {2, 3, 3, 3, 8, {}},                           // no width
      {3, NAN, 0, 5, 5, {}}, {4, 0, 0, 10, 10, {}},  // the image itself
  };
  clip_and_drop(objects, {10, 10});
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0].class_id, 0);
  EXPECT_FLOAT_EQ(objects[0].box.x1, 0);
  EXPECT_FLOAT_EQ(objects[0].box.x2, 5);
  EXPECT_EQ(objects[1].class_id, 4);
}

TEST(Sample, PolygonIsCutAtEachBorder) {
  // A diamond around the image's middle that reaches 2 pixels beyond every side.
  const std::vector<Point<ImagePixels>> diamond = {{5, -2}, {12, 5}, {5, 12}, {-2, 5}};
  const std::vector<Point<ImagePixels>> inside = clip_polygon(diamond, {10, 10});
  ASSERT_EQ(inside.size(), 8u);
  EXPECT_EQ(box_around(inside), (Box<ImagePixels>{0, 0, 10, 10}));
  EXPECT_TRUE(clip_polygon(std::vector<Point<ImagePixels>>{{20, 20}, {30, 20}, {30, 30}}, {10, 10}).empty());
  EXPECT_TRUE(clip_polygon({}, {10, 10}).empty());
}

TEST(Sample, LetterboxMovesBoxesWithTheImage) {
  const SharedSample sample{std::make_shared<const image::Image>(100, 50, uint8_t{200}),
                            {{0, 10, 10, 20, 20, {{10, 10}, {20, 10}, {20, 20}}}}};
  const Sample boxed = letterbox_sample(sample, {200, 200}, true);
  EXPECT_EQ(size_of(boxed.image), (Size{200, 200}));
  EXPECT_EQ(boxed.image.row(49)[0], kLetterboxGrey);
  EXPECT_EQ(boxed.image.row(50)[0], 200);
  EXPECT_FLOAT_EQ(boxed.objects[0].box.x1, 20);
  EXPECT_FLOAT_EQ(boxed.objects[0].box.y1, 70);
  EXPECT_FLOAT_EQ(boxed.objects[0].polygon[2].y, 90);

  const Sample kept = letterbox_sample(sample, {200, 200}, false);
  EXPECT_FLOAT_EQ(kept.objects[0].box.x1, 60);
}

TEST(Sample, LetterboxOfOnePixel) {
  const SharedSample dot{std::make_shared<const image::Image>(1, 1, uint8_t{7}), {}};
  EXPECT_EQ(letterbox_sample(dot, {32, 32}, true).image.row(16)[0], 7);
  EXPECT_EQ(size_of(letterbox_sample(dot, {33, 31}, false).image), (Size{33, 31}));
}

}  // namespace
}  // namespace marrow::loader
