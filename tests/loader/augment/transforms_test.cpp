#include <gtest/gtest.h>

#include <cmath>

#include "marrow/geometry/letterbox.h"
#include "marrow/image/hsv.h"
#include "marrow/loader/augment/blend.h"
#include "marrow/loader/augment/copy_paste.h"
#include "marrow/loader/augment/flip.h"
#include "marrow/loader/augment/mosaic.h"
#include "marrow/loader/augment/perspective.h"

namespace marrow::loader {
namespace {

SharedSample tile(int width, int height, uint8_t value, std::vector<Object> objects = {}) {
  return {std::make_shared<const image::Image>(width, height, value), std::move(objects)};
}

TEST(Mosaic, EachTileTouchesTheCentre) {
  const std::array tiles = {tile(8, 8, 1), tile(8, 5, 2), tile(3, 8, 3), tile(8, 8, 4)};
  const Sample sample = mosaic(tiles, 8, {5, 10});
  EXPECT_EQ(size_of(sample.image), (Size{16, 16}));
  const auto at = [&](int x, int y) { return sample.image.row(y)[3 * x]; };
  EXPECT_EQ(at(4, 9), 1);
  EXPECT_EQ(at(5, 9), 2);
  EXPECT_EQ(at(4, 10), 3);
  EXPECT_EQ(at(5, 10), 4);
  EXPECT_EQ(at(5, 4), kLetterboxGrey);   // the tile of height 5 ends at y = 5
  EXPECT_EQ(at(1, 12), kLetterboxGrey);  // the tile of width 3 ends at x = 2
  EXPECT_EQ(at(13, 15), kLetterboxGrey);
}

TEST(Mosaic, CutsBoxesAtTheCanvas) {
  const std::array tiles = {tile(8, 8, 1, {{1, 0, 0, 8, 8, {}}, {2, 0, 0, 2, 2, {}}}), tile(1, 1, 2),
                            tile(1, 1, 3), tile(1, 1, 4)};
  const Sample sample = mosaic(tiles, 8, {4, 5});  // the first tile starts at (-4, -3)
  ASSERT_EQ(sample.objects.size(), 1u);            // the second box is outside
  EXPECT_EQ(sample.objects[0].class_id, 1);
  EXPECT_FLOAT_EQ(sample.objects[0].box.x1, 0);
  EXPECT_FLOAT_EQ(sample.objects[0].box.x2, 4);
  EXPECT_FLOAT_EQ(sample.objects[0].box.y2, 5);
}

TEST(Mosaic, CentresFillTheirRange) {
  Random random(1, "centres");
  int smallest = 1000, largest = 0;
  for (int i = 0; i < 2000; ++i) {
    const MosaicCentre centre = draw_mosaic_centre(64, random);
    smallest = std::min({smallest, centre.x, centre.y});
    largest = std::max({largest, centre.x, centre.y});
  }
  EXPECT_EQ(smallest, 32);
  EXPECT_EQ(largest, 95);
}

TEST(Perspective, WithoutDrawsChangesNothing) {
  Sample sample{image::Image(7, 5, 9), {{0, 1, 1, 6, 4, {}}}};
  sample.image.row(2)[4] = 200;
  const Sample same = random_perspective(sample, {}, size_of(sample.image));
  EXPECT_TRUE(same.image == sample.image);
  ASSERT_EQ(same.objects.size(), 1u);
  EXPECT_FLOAT_EQ(same.objects[0].box.x2, 6);
}

TEST(Perspective, ANegativeBorderKeepsTheMiddle) {
  Sample sample{image::Image(16, 16), {{0, 6, 6, 10, 10, {}}}};
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 48; ++x) sample.image.row(y)[x] = static_cast<uint8_t>(y * 16 + x / 3);
  const Sample middle = random_perspective(sample, {}, {8, 8});
  EXPECT_EQ(size_of(middle.image), (Size{8, 8}));
  EXPECT_EQ(middle.image.row(0)[0], 4 * 16 + 4);
  EXPECT_FLOAT_EQ(middle.objects.at(0).box.x1, 2);
}

TEST(Perspective, KeepsBoxesByStrictLimits) {
  const Box<ImagePixels> whole{0, 0, 10, 10};
  EXPECT_TRUE(is_kept(whole, {0, 0, 2.01f, 10}, 1, kKeptArea));
  EXPECT_FALSE(is_kept(whole, {0, 0, 2, 10}, 1, kKeptArea));   // 2 pixels
  EXPECT_FALSE(is_kept(whole, {0, 0, 3, 3}, 1, kKeptArea));    // a tenth of the area is 10
  EXPECT_TRUE(is_kept(whole, {0, 0, 3, 3}, 0.5, kKeptArea));   // of the scaled one 2.5
  EXPECT_FALSE(is_kept(whole, {0, 0, 300, 3}, 1, kKeptArea));  // 100 times as wide as high
  EXPECT_FALSE(is_kept(whole, {0, 0, NAN, 10}, 1, kKeptArea));
  EXPECT_FALSE(is_kept({3, 3, 3, 3}, {0, 0, 0, 0}, 1, kKeptArea));
}

TEST(Perspective, BoxesFollowOutlines) {
  // A diamond turned by 45 degrees is a square, which its box's corners would not tell.
  const Object diamond{0, 4, 4, 12, 12, {{8, 4}, {12, 8}, {8, 12}, {4, 8}}};
  PerspectiveDraws draws;
  draws.degrees = 45;
  const image::Matrix3 matrix = perspective_matrix(draws, {16, 16}, {16, 16});
  const Object moved = warp_object(diamond, matrix, false, {16, 16});
  EXPECT_NEAR(moved.box.x1, 8 - std::sqrt(8.0), 1e-4);
  EXPECT_NEAR(moved.box.x2, 8 + std::sqrt(8.0), 1e-4);
  Object box = diamond;
  box.polygon.clear();
  EXPECT_NEAR(warp_object(box, matrix, false, {16, 16}).box.x1, 8 - 4 * std::sqrt(2.0), 1e-4);
  // An outline beyond the image leaves a box without area.
  draws.translate_x = 5;
  const Object gone = warp_object(diamond, perspective_matrix(draws, {16, 16}, {16, 16}), false, {16, 16});
  EXPECT_FLOAT_EQ(gone.box.area(), 0);
}

TEST(Perspective, DrawsStayInTheirRange) {
  Random random(1, "draws");
  const PerspectiveRange range{
      .degrees = 10, .translate = 0.2, .zoom = {0.7, 1.3}, .shear = 4, .perspective = 0.001};
  for (int i = 0; i < 500; ++i) {
    const PerspectiveDraws draws = draw_perspective(range, random);
    EXPECT_LE(std::abs(draws.degrees), 10);
    EXPECT_LE(std::abs(draws.scale - 1), 0.3);
    EXPECT_LE(std::abs(draws.translate_x - 0.5), 0.2);
    EXPECT_LE(std::abs(draws.shear_y), 4);
    EXPECT_LE(std::abs(draws.perspective_y), 0.001);
  }
}

TEST(Mixup, CutsOffToBytes) {
  Sample sample{image::Image(2, 1, 10), {{1, 0, 0, 1, 1, {}}}};
  mixup(sample, {image::Image(2, 1, 21), {{2, 0, 0, 2, 1, {}}}}, 0.5);
  EXPECT_EQ(sample.image.row(0)[0], 15);  // 15.5
  ASSERT_EQ(sample.objects.size(), 2u);
  EXPECT_EQ(sample.objects[1].class_id, 2);
}

TEST(Mixup, BetaHasItsMeanAndSpread) {
  for (const auto& [alpha, beta] : {std::pair{32.0, 32.0}, {1.0, 1.0}, {0.2, 0.2}, {2.0, 5.0}}) {
    Random random(2, "beta");
    constexpr int kDraws = 20000;
    double sum = 0, square = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = draw_beta(alpha, beta, random);
      ASSERT_GE(x, 0);
      ASSERT_LE(x, 1);
      sum += x, square += x * x;
    }
    const double mean = sum / kDraws, total = alpha + beta;
    EXPECT_NEAR(mean, alpha / total, 0.01);
    EXPECT_NEAR(square / kDraws - mean * mean, alpha * beta / (total * total * (total + 1)), 0.004);
  }
}

TEST(Cutmix, PastesTheFirstFreeRectangle) {
  Sample sample{image::Image(10, 10, 1), {{1, 0, 0, 5, 5, {}}}};
  const Sample other{image::Image(10, 10, 2),
                     {{2, 5, 5, 20, 20, {}}, {3, 0, 0, 5.5f, 10, {}}, {4, 7, 7, 8, 8, {}}}};
  const PixelRectangle candidates[] = {{4, 4, 9, 9}, {5, 5, 9, 9}, {6, 6, 9, 9}};
  cutmix(sample, other, candidates);
  EXPECT_EQ(sample.image.row(4)[12], 1);
  EXPECT_EQ(sample.image.row(5)[15], 2);
  EXPECT_EQ(sample.image.row(8)[24], 2);
  EXPECT_EQ(sample.image.row(9)[27], 1);
  // The second class has 4 x 4 of 15 x 15 inside: less than a tenth. The third 0.5 x 4 of 55.
  ASSERT_EQ(sample.objects.size(), 2u);
  EXPECT_EQ(sample.objects[1].class_id, 4);
  EXPECT_FLOAT_EQ(sample.objects[1].box.x1, 7);
}

TEST(Cutmix, ClipsWhatItBrings) {
  Sample sample{image::Image(10, 10, 1), {}};
  cutmix(sample, {image::Image(10, 10, 2), {{2, 4, 4, 9, 9, {{4, 4}, {9, 4}, {9, 9}}}}},
         std::array{PixelRectangle{0, 0, 0, 5}, PixelRectangle{2, 2, 6, 8}});
  ASSERT_EQ(sample.objects.size(), 1u);
  EXPECT_FLOAT_EQ(sample.objects[0].box.x1, 4);
  EXPECT_FLOAT_EQ(sample.objects[0].box.x2, 6);
  EXPECT_FLOAT_EQ(sample.objects[0].box.y2, 8);
}

TEST(Cutmix, DoesNothingWithoutAFreePlace) {
  Sample sample{image::Image(4, 4, 1), {{1, 0, 0, 4, 4, {}}}};
  Random random(1, "cutmix");
  cutmix(sample, {image::Image(4, 4, 2), {{2, 0, 0, 4, 4, {}}}}, draw_cutmix_rectangles({4, 4}, random));
  EXPECT_TRUE(sample.image == image::Image(4, 4, 1));
  EXPECT_EQ(sample.objects.size(), 1u);
}

TEST(Cutmix, RectanglesStayInsideTinyImages) {
  Random random(1, "cutmix");
  int rectangles = 0;
  for (int i = 0; i < 200; ++i)
    for (const PixelRectangle& r : draw_cutmix_rectangles({1, 3}, random)) {
      ++rectangles;
      EXPECT_GE(r.x1, 0);
      EXPECT_LE(r.x2, 1);
      EXPECT_GE(r.y1, 0);
      EXPECT_LE(r.y2, 3);
    }
  EXPECT_GT(rectangles, 0);
}

TEST(CopyPaste, PastesTheMirroredOutline) {
  Sample sample{image::Image(10, 4, 1), {{3, 0, 0, 2, 4, {{0, 0}, {2, 0}, {2, 4}, {0, 4}}}}};
  for (int y = 0; y < 4; ++y) sample.image.row(y)[0] = 77;  // the leftmost blue bytes
  copy_paste_mirrored(sample, 1.0);
  ASSERT_EQ(sample.objects.size(), 2u);
  EXPECT_FLOAT_EQ(sample.objects[1].box.x1, 8);
  EXPECT_FLOAT_EQ(sample.objects[1].box.x2, 10);
  EXPECT_EQ(sample.image.row(3)[27], 77);
  EXPECT_EQ(sample.image.row(3)[24], 1);
}

TEST(CopyPaste, TakesItsShareOfWhatCoversLittle) {
  const auto square = [](float x) {
    return Object{0, x, 0, x + 2, 2, {{x, 0}, {x + 2, 0}, {x + 2, 2}, {x, 2}}};
  };
  // The one in the middle would cover itself; the one without an outline is not copied.
  Sample sample{image::Image(20, 4, 1), {square(0), square(9), square(3), {0, 6, 0, 8, 2, {}}}};
  Sample none = sample;
  copy_paste_mirrored(none, 0.0);
  EXPECT_EQ(none.objects.size(), 4u);
  copy_paste_mirrored(sample, 0.5);
  EXPECT_EQ(sample.objects.size(), 5u);
  copy_paste_mirrored(sample, 1.0);  // the copies are copied back where they came from, which is covered
  EXPECT_EQ(sample.objects.size(), 6u);
}

TEST(Flip, TwiceIsNothing) {
  for (const int width : {1, 2, 5, 33}) {
    Sample sample{image::Image(width, 3), {{0, 0.5f, 0, 1, 2, {{0.5f, 0}, {1, 2}, {0.6f, 1}}}}};
    for (size_t i = 0; i < sample.image.byte_size(); ++i) sample.image.row(0)[i] = static_cast<uint8_t>(i);
    Sample flipped = sample;
    flip_horizontally(flipped), flip_vertically(flipped);
    EXPECT_FLOAT_EQ(flipped.objects[0].polygon[0].y, 3);
    flip_horizontally(flipped), flip_vertically(flipped);
    EXPECT_TRUE(flipped.image == sample.image);
    EXPECT_FLOAT_EQ(flipped.objects[0].box.x1, 0.5f);
    EXPECT_FLOAT_EQ(flipped.objects[0].box.y2, 2);
  }
}

TEST(Hsv, GreyStaysGreyAndZeroDrawsChangeNothing) {
  image::Image grey(33, 1);
  for (int x = 0; x < 33; ++x)
    for (int c = 0; c < 3; ++c) grey.row(0)[3 * x + c] = static_cast<uint8_t>(x * 7);
  image::Image changed = grey;
  image::adjust_hsv(changed, {});
  EXPECT_TRUE(changed == grey);
  image::adjust_hsv(changed, {0.01, 0.9, 0.2});
  for (int x = 0; x < 33; ++x) {
    EXPECT_EQ(changed.row(0)[3 * x], changed.row(0)[3 * x + 1]);
    EXPECT_EQ(changed.row(0)[3 * x], changed.row(0)[3 * x + 2]);
    EXPECT_NEAR(changed.row(0)[3 * x], std::min(255.0, x * 7 * 1.2), 1.5);
  }
}

TEST(Hsv, SaturationSaturates) {
  image::Image image(1, 1);
  image.row(0)[0] = 10, image.row(0)[1] = 20, image.row(0)[2] = 200;
  image::adjust_hsv(image, {0, 5, 5});
  EXPECT_EQ(image.row(0)[0], 0);
  EXPECT_EQ(image.row(0)[2], 255);
}

}  // namespace
}  // namespace marrow::loader
