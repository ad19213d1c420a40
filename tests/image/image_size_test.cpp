#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/scene.h"
#include "support/golden.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

fs::path write(const std::string& name, const std::string& content) {
  const fs::path path = fs::path(::testing::TempDir()) / ("image_size_" + std::to_string(getpid()) + name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(ImageSize, EqualsTheDecodedPictures) {
  const Image scene = draw_scene(37, 21, 1);
  for (const std::string& content : {encode_png(scene.pixels()), encode_jpeg(scene.pixels())}) {
    const fs::path path = write("plain", content);
    EXPECT_EQ(read_image_size(path), (ImageSize{37, 21}));
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
    EXPECT_EQ(read_image_size(path), orientation >= 5 ? (ImageSize{24, 40}) : (ImageSize{40, 24}));
    const Image decoded = decode_image_file(path).image;
    EXPECT_EQ(read_image_size(path), (ImageSize{decoded.width(), decoded.height()}));
    fs::remove(path);
  }
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
    ImageSize decoded;
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
}  // namespace marrow
