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

TEST(Sample, ClippingHidesKeypointsAndMovesOutlinesToTheBorder) {
  std::vector<Object> objects = {
      {0, -5, -5, 5, 5, {{-5, -5}, {5, -5}, {5, 5}}, {{10, 0, 2}, {10.5f, 3, 2}, {-1, 4, 1}, {NAN, 1, 2}}}};
  clip_and_drop(objects, {10, 10});
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].polygon, (std::vector<Point<ImagePixels>>{{0, 0}, {5, 0}, {5, 5}}));
  EXPECT_EQ(objects[0].keypoints,
            (std::vector<Keypoint<ImagePixels>>{{10, 0, 2}, {10, 3, 0}, {0, 4, 0}, {0, 1, 0}}));
}

TEST(Sample, OutlinesOfSeveralImagesGetAsManyPoints) {
  std::vector<Object> objects = {{0, 0, 0, 2, 2, std::vector<Point<ImagePixels>>(3, {1, 1})},
                                 {0, 0, 0, 2, 2, std::vector<Point<ImagePixels>>(9, {1, 1})}};
  even_out(objects);
  EXPECT_EQ(objects[0].polygon.size(), 9u);
  EXPECT_EQ(objects[1].polygon.size(), 9u);
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
