#include "marrow/image/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace marrow::image {
namespace {

Image row_of(std::initializer_list<int> values) {
  Image image(static_cast<int>(values.size()), 1);
  int x = 0;
  for (int value : values) {
    for (int c = 0; c < 3; ++c) image.row(0)[3 * x + c] = static_cast<uint8_t>(value);
    ++x;
  }
  return image;
}

std::vector<int> first_channel(const Image& image) {
  std::vector<int> values;
  for (int x = 0; x < image.width(); ++x) values.push_back(image.row(0)[3 * x]);
  return values;
}

TEST(ResizeLinear, SamplesAtPixelCentres) {
  // Enlarging by two: a quarter and three quarters of the way, edges replicated.
  EXPECT_EQ(first_channel(resize_linear(row_of({0, 100}), 4, 1)), (std::vector<int>{0, 25, 75, 100}));
  // Reducing by two without antialiasing: the mean of the two middle neighbours.
  EXPECT_EQ(first_channel(resize_linear(row_of({0, 100, 50, 250}), 2, 1)), (std::vector<int>{50, 150}));
  // By three: just the middle one.
  EXPECT_EQ(first_channel(resize_linear(row_of({9, 100, 9, 9, 200, 9}), 2, 1)), (std::vector<int>{100, 200}));
}

TEST(ResizeLinear, RowsAreSampledAsColumnsAre) {
  std::mt19937 random(2);
  for (int from : {1, 2, 6, 9, 30})
    for (int to : {1, 2, 3, 7, 10, 40}) {
      Image column(1, from), row(from, 1);
      for (int i = 0; i < from; ++i)
        for (int c = 0; c < 3; ++c)
          column.row(i)[c] = row.row(0)[3 * i + c] = static_cast<uint8_t>(random() >> 13);
      const Image tall = resize_linear(column, 1, to), wide = resize_linear(row, to, 1);
      for (int i = 0; i < to; ++i)
        for (int c = 0; c < 3; ++c)
          EXPECT_NEAR(tall.row(i)[c], wide.row(0)[3 * i + c], 1) << from << " to " << to;
    }
}

TEST(ResizeLinear, AwkwardSizesKeepAFlatImage) {
  for (int from : {1, 2, 7, 33}) {
    for (int to : {1, 2, 15, 64}) {
      Image flat(from, 40 - from, 77);
      EXPECT_EQ(resize_linear(flat, to, 65 - to), Image(to, 65 - to, 77)) << from << " to " << to;
    }
  }
}

TEST(ResizeLinear, ThreeChannelsAreThreeImages) {
  std::mt19937 random(1);
  for (int from : {1, 2, 3, 7, 33, 100}) {
    Image image(from, 9);
    for (int y = 0; y < 9; ++y)
      for (size_t i = 0; i < image.row_bytes(); ++i) image.row(y)[i] = static_cast<uint8_t>(random() >> 13);
    for (int to : {1, 2, 5, 16, 33, 64, 201}) {
      const Image together = resize_linear(image, to, 11);
      for (int c = 0; c < 3; ++c) {
        // One channel goes through the plain loop, three through vector code where there is some.
        std::vector<uint8_t> plane, resized(static_cast<size_t>(to) * 11), wanted;
        for (int y = 0; y < 9; ++y)
          for (int x = 0; x < from; ++x) plane.push_back(image.row(y)[3 * x + c]);
        resize_linear({plane.data(), from, 9, 1, static_cast<size_t>(from)},
                      {resized.data(), to, 11, 1, static_cast<size_t>(to)});
        for (int y = 0; y < 11; ++y)
          for (int x = 0; x < to; ++x) wanted.push_back(together.row(y)[3 * x + c]);
        ASSERT_EQ(resized, wanted) << from << " to " << to << ", channel " << c;
      }
    }
  }
}

TEST(ResizeAntialiased, AveragesWhatOnePixelCovers) {
  // Halving with the triangle filter of support 2: weights 1/8 3/8 3/8 1/8 inside, 3/7 3/7 1/7 at the left
  // border.
  EXPECT_EQ(first_channel(resize(row_of({70, 70, 0, 0, 0, 0}), 3, 1, ResizeFilter::kAntialiasedBilinear)),
            (std::vector<int>{60, 9, 0}));
  // Keys' cubic overshoots beside an edge and is clipped to the range of a byte.
  std::vector<int> edge =
      first_channel(resize(row_of({100, 100, 100, 200, 200, 200}), 12, 1, ResizeFilter::kAntialiasedBicubic));
  EXPECT_LT(edge[4], 100);
  EXPECT_GT(edge[7], 200);
  EXPECT_EQ(edge[0], 100);
  EXPECT_EQ(edge[11], 200);
}

TEST(ResizeAntialiased, AwkwardSizesKeepAFlatImage) {
  for (ResizeFilter kind : {ResizeFilter::kAntialiasedBilinear, ResizeFilter::kAntialiasedBicubic}) {
    for (int from : {1, 2, 7, 33}) {
      for (int to : {1, 2, 15, 64}) {
        EXPECT_EQ(resize(Image(from, 40 - from, 77), to, 65 - to, kind), Image(to, 65 - to, 77));
      }
    }
  }
}

TEST(ClassifierInput, CutsTheMiddleOfTheShorterSide) {
  // 8 wide, 4 high: shorter side 4 stays, columns 2..5 remain.
  Image image(8, 4);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 8; ++x) image.row(y)[3 * x] = static_cast<uint8_t>(x * 10);
  }
  for (ResizeFilter kind :
       {ResizeFilter::kLinear, ResizeFilter::kAntialiasedBilinear, ResizeFilter::kAntialiasedBicubic}) {
    EXPECT_EQ(first_channel(resize_for_classifier(image, 4, 4, kind)), (std::vector<int>{20, 30, 40, 50}));
  }
  Image tall = resize_for_classifier(Image(10, 3000, 9), 256, 224, ResizeFilter::kAntialiasedBicubic);
  EXPECT_EQ(tall, Image(224, 224, 9));
}

// Resizing all of it would take 12 GB.
TEST(ClassifierInput, AnEndlessStripStaysCheap) {
  EXPECT_EQ(resize_for_classifier(Image(65500, 1, 33), 256, 224, ResizeFilter::kAntialiasedBicubic),
            Image(224, 224, 33));
  EXPECT_EQ(resize_for_classifier(Image(1, 65500, 33), 256, 224, ResizeFilter::kLinear), Image(224, 224, 33));
}

TEST(ClassifierInput, CropLargerThanTheImageIsCentredOnBlack) {
  Image result = resize_for_classifier(Image(4, 4, 50), 4, 6, ResizeFilter::kLinear);
  EXPECT_EQ(result.row(0)[9], 0);
  EXPECT_EQ(result.row(1)[3], 50);
  EXPECT_EQ(result.row(5)[9], 0);
}

}  // namespace
}  // namespace marrow::image
