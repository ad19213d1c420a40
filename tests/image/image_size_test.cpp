#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "marrow/base/error.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "support/golden.h"

namespace marrow::image {
namespace {

namespace fs = std::filesystem;

fs::path write(const std::string& name, const std::string& content) {
  const fs::path path = fs::path(::testing::TempDir()) / ("image_size_" + std::to_string(getpid()) + name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(ImageSize, EqualsTheDecodedImages) {
  const Image scene = draw_scene(37, 21, 1);
  for (const std::string& content : {encode_png(scene.pixels()), encode_jpeg(scene.pixels())}) {
    const fs::path path = write("plain", content);
    EXPECT_EQ(read_image_size(path), (Size{37, 21}));
    fs::remove(path);
  }
}

TEST(ImageSize, FollowsTheExifOrientation) {
  const std::string jpeg = encode_jpeg(draw_scene(40, 24, 1).pixels());
  for (int orientation = 1; orientation <= 8; ++orientation) {
    using namespace std::string_literals;
    std::string exif = "\xff\xe1\x00\x22"s + "Exif\0\0"s + "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s;
    exif += std::string{static_cast<char>(orientation), 0, 0, 0} + "\0\0\0\0"s;
    const fs::path path = write("turned.jpg", jpeg.substr(0, 2) + exif + jpeg.substr(2));
    EXPECT_EQ(read_image_size(path), orientation >= 5 ? (Size{24, 40}) : (Size{40, 24}));
    const Image decoded = decode_image_file(path).image;
    EXPECT_EQ(read_image_size(path), (Size{decoded.width(), decoded.height()}));
    // Fitted by what its width and height are when it stands upright.
    const DecodedImage half = decode_image_file(path, {.fit = {20, 39}});
    EXPECT_EQ(half.full, read_image_size(path));
    EXPECT_EQ(half.image.width(), orientation >= 5 ? 24 : 20);
    fs::remove(path);
  }
}

TEST(DecodeToFit, ReducesJpegsNoFurtherThanTheyWillBeShrunk) {
  const Image scene = draw_scene(400, 300, 1);
  const std::string jpeg = encode_jpeg(scene.pixels());
  const auto size = [&](const std::string& content, Size fit) {
    const DecodedImage decoded = decode_image(std::as_bytes(std::span(content)), "x", {.fit = fit});
    EXPECT_EQ(decoded.full, (Size{400, 300}));
    return Size{decoded.image.width(), decoded.image.height()};
  };
  EXPECT_EQ(size(jpeg, {}), (Size{400, 300}));
  EXPECT_EQ(size(jpeg, {201, 201}), (Size{400, 300}));  // shrunk to 201 x 151
  EXPECT_EQ(size(jpeg, {200, 200}), (Size{200, 150}));
  EXPECT_EQ(size(jpeg, {300, 150}), (Size{200, 150}));  // the height decides
  EXPECT_EQ(size(jpeg, {64, 64}), (Size{100, 75}));
  EXPECT_EQ(size(jpeg, {50, 50}), (Size{50, 38}));
  EXPECT_EQ(size(jpeg, {1, 1}), (Size{50, 38}));
  EXPECT_EQ(size(encode_png(scene.pixels()), {64, 64}), (Size{400, 300}));
}

TEST(DecodeToFit, PixelsAreAveragesOfTheFullOnes) {
  const std::string jpeg = encode_jpeg(draw_scene(64, 48, 1).pixels());
  const Image full = decode_image(std::as_bytes(std::span(jpeg)), "x").image;
  const Image half = decode_image(std::as_bytes(std::span(jpeg)), "x", {.fit = {32, 32}}).image;
  double difference = 0;
  for (int y = 0; y < 24; ++y)
    for (int x = 0; x < 32 * 3; ++x) {
      const int left = x / 3 * 6 + x % 3;
      const int sum = full.row(2 * y)[left] + full.row(2 * y)[left + 3] + full.row(2 * y + 1)[left] +
                      full.row(2 * y + 1)[left + 3];
      difference += std::abs(half.row(y)[x] - sum / 4.0);
    }
  EXPECT_LT(difference / (24 * 32 * 3), 4);
}

TEST(ImageSize, TruncatedHeadersAreErrors) {
  const Image scene = draw_scene(16, 16, 1);
  for (const std::string& content : {encode_png(scene.pixels()), encode_jpeg(scene.pixels())})
    for (size_t length = 0; length < 24; ++length) {
      const fs::path path = write("cut", content.substr(0, length));
      EXPECT_THROW(read_image_size(path), Error) << length;
      fs::remove(path);
    }
}

TEST(ImageSize, EqualsTheDecodedSizeOfEveryOddFile) {
  const fs::path folder = testing::data_folder() / "odd";
  MARROW_NEEDS(folder);
  int compared = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    Size decoded;
    try {
      const Image image = decode_image_file(entry.path()).image;
      decoded = {image.width(), image.height()};
    } catch (const Error&) {
      try {
        read_image_size(entry.path());  // the headers may be sound
      } catch (const Error&) {
      }
      continue;
    }
    EXPECT_EQ(read_image_size(entry.path()), decoded) << entry.path();
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace marrow::image
