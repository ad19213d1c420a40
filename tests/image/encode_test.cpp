#include "marrow/image/encode.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "marrow/base/error.h"
#include "marrow/image/decode.h"

namespace marrow::image {
namespace {

Image drawing(int width, int height) {
  Image image(width, height, 40);
  for (int y = 0; y < height / 2; ++y) {
    for (int x = 0; x < width; ++x) image.row(y)[3 * x + 2] = 200;
  }
  return image;
}

std::filesystem::path temporary(const char* name) {
  return std::filesystem::path(::testing::TempDir()) / (std::to_string(getpid()) + name);
}

TEST(WriteImage, PngKeepsEveryPixel) {
  for (auto [width, height] : {std::pair{1, 1}, {7, 3}, {64, 48}}) {
    Image image = drawing(width, height);
    std::filesystem::path path = temporary("kept.PNG");
    write_image(path, image.pixels());
    EXPECT_EQ(decode_image_file(path).image, image);
    std::filesystem::remove(path);
  }
}

TEST(WriteImage, JpegStaysClose) {
  Image image = drawing(50, 40);
  std::filesystem::path path = temporary("close.jpg");
  write_image(path, image.pixels());
  Image again = decode_image_file(path).image;
  ASSERT_EQ(again.width(), 50);
  EXPECT_NEAR(again.row(5)[3 * 25 + 2], 200, 4);
  EXPECT_NEAR(again.row(35)[3 * 25 + 2], 40, 4);
  std::filesystem::remove(path);
}

// One red column: with 4:2:0 it fades into its neighbour.
TEST(WriteImage, FullChromaKeepsThinLines) {
  Image image(32, 32, 128);
  for (int y = 0; y < 32; ++y) {
    image.row(y)[3 * 15] = image.row(y)[3 * 15 + 1] = 0;
    image.row(y)[3 * 15 + 2] = 255;
  }
  auto red_of = [&](bool subsample) {
    std::string bytes = encode_jpeg(image.pixels(), {.quality = 95, .subsample_chroma = subsample});
    const Image read = decode_image(std::as_bytes(std::span(bytes)), "test").image;
    return read.row(16)[3 * 15 + 2] - read.row(16)[3 * 15];
  };
  EXPECT_GT(red_of(false), 240);
  EXPECT_LT(red_of(true), 200);
}

TEST(WriteImage, WritesAViewOfAnImage) {
  Image image = drawing(20, 20);
  std::string bytes = encode_png(image.region(3, 5, 4, 9));
  EXPECT_EQ(decode_image(std::as_bytes(std::span(bytes)), "test").image,
            copy_image(image.region(3, 5, 4, 9)));
}

TEST(WriteImage, RefusesUnknownSuffixAndMissingFolder) {
  Image image = drawing(2, 2);
  EXPECT_THROW(write_image(temporary("x.gif"), image.pixels()), Error);
  EXPECT_THROW(write_image(temporary("no such folder") / "x.png", image.pixels()), Error);
  EXPECT_FALSE(is_writable_image("a.webp"));
  EXPECT_TRUE(is_writable_image("a.JPeG"));
}

}  // namespace
}  // namespace marrow::image
