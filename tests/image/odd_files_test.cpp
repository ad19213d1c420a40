// Every file of data/odd behaves as the folder's README says. A file that the table below does not name fails
// the test.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>

#include "marrow/base/error.h"
#include "marrow/image/decode.h"
#include "support/golden.h"

namespace marrow::image {
namespace {

std::filesystem::path odd_folder() {
  return testing::data_folder() / "odd";
}

struct Expectation {
  bool reads = true;
  int width = 0;
  int height = 0;
  const char* same_as = nullptr;  // equal pixels
  const char* message = nullptr;  // a part of the error, or of the warning
};

constexpr Expectation refused(const char* message) {
  return {false, 0, 0, nullptr, message};
}

const std::map<std::string, Expectation> kExpectations = {
    {"plain.jpg", {.width = 384, .height = 288}},
    {"progressive.jpg", {.width = 384, .height = 288}},
    {"gray.jpg", {.width = 384, .height = 288}},
    {"gray8.png", {.width = 384, .height = 288}},
    {"gray16.png", {.width = 384, .height = 288, .same_as = "gray8.png"}},
    {"rgb16.png", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"cmyk.jpg", {.width = 384, .height = 288}},
    {"rgba.png", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"gray_alpha.png", {.width = 320, .height = 240}},
    {"palette.png", {.width = 320, .height = 240}},
    {"bilevel.png", {.width = 320, .height = 240}},
    {"one_pixel.png", {.width = 1, .height = 1}},
    {"one_pixel.jpg", {.width = 1, .height = 1}},
    {"two_by_three.png", {.width = 2, .height = 3}},
    {"wide_4000x20.png", {.width = 4000, .height = 20}},
    {"tall_20x4000.jpg", {.width = 20, .height = 4000}},
    {"large_6000x5000.png", {.width = 6000, .height = 5000}},
    {"photo.webp", {.width = 384, .height = 288}},
    {"lossless.webp", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"synthetic.png", {.width = 320, .height = 240}},
    {"synthetic.bmp", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"synthetic.tif", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"synthetic.gif", refused("GIF")},
    {"UPPER.PNG", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"name with spaces.png", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"имя_图片.png", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"png_named.jpg", {.width = 320, .height = 240, .same_as = "synthetic.png"}},
    {"trailing_garbage.jpg", {.width = 384, .height = 288, .same_as = "plain.jpg"}},
    {"truncated.jpg", {.width = 384, .height = 288, .message = "ends early"}},
    {"truncated_header.jpg", refused("broken JPEG")},
    {"corrupt_data.png", refused("broken PNG")},
    {"zero_bytes.jpg", refused("empty")},
    {"text_named.jpg", refused("not an image")},
    {"bmp_claims_60000x60000.bmp", refused("60000 x 60000")},
    {"exif_1.jpg", {.width = 256, .height = 192}},
    {"exif_2.jpg", {.width = 256, .height = 192}},
    {"exif_3.jpg", {.width = 256, .height = 192}},
    {"exif_4.jpg", {.width = 256, .height = 192}},
    {"exif_5.jpg", {.width = 256, .height = 192}},
    {"exif_6.jpg", {.width = 256, .height = 192}},
    {"exif_7.jpg", {.width = 256, .height = 192}},
    {"exif_8.jpg", {.width = 256, .height = 192}},
    {"exif_reference_upright.png", {.width = 256, .height = 192}},
};

double mean_difference(const Image& a, const Image& b) {
  if (a.width() != b.width() || a.height() != b.height()) return 255.0;
  double sum = 0.0;
  for (int y = 0; y < a.height(); ++y) {
    for (size_t i = 0; i < a.row_bytes(); ++i) sum += std::abs(a.row(y)[i] - b.row(y)[i]);
  }
  return sum / static_cast<double>(a.byte_size());
}

Image read(const char* name) {
  return decode_image_file(odd_folder() / name).image;
}

TEST(OddFiles, BehaveAsTheirReadmeSays) {
  MARROW_NEEDS(odd_folder());
  size_t met = 0;
  for (const auto& entry : std::filesystem::directory_iterator(odd_folder())) {
    std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    if (name == "README.md") continue;
    auto found = kExpectations.find(name);
    if (found == kExpectations.end()) {
      ADD_FAILURE() << "no expectation for this file";
      continue;
    }
    ++met;
    const Expectation& expected = found->second;
    try {
      DecodedImage decoded = decode_image_file(entry.path());
      EXPECT_TRUE(expected.reads) << "should be refused";
      EXPECT_EQ(decoded.image.width(), expected.width);
      EXPECT_EQ(decoded.image.height(), expected.height);
      if (expected.same_as) {
        EXPECT_EQ(mean_difference(decoded.image, read(expected.same_as)), 0.0);
      }
      EXPECT_EQ(decoded.warning.empty(), expected.message == nullptr) << decoded.warning;
      if (expected.message) {
        EXPECT_NE(decoded.warning.find(expected.message), std::string::npos) << decoded.warning;
        EXPECT_NE(decoded.warning.find(name), std::string::npos) << decoded.warning;
      }
    } catch (const Error& error) {
      EXPECT_FALSE(expected.reads) << error.what();
      if (expected.message) {
        EXPECT_NE(std::string(error.what()).find(expected.message), std::string::npos) << error.what();
      }
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "more than one line";
    }
  }
  EXPECT_EQ(met, kExpectations.size()) << "a documented file is missing";
}

TEST(OddFiles, EveryExifOrientationStandsUpright) {
  MARROW_NEEDS(odd_folder());
  Image upright = read("exif_reference_upright.png");
  for (int orientation = 1; orientation <= 8; ++orientation) {
    std::string name = "exif_" + std::to_string(orientation) + ".jpg";
    EXPECT_LT(mean_difference(read(name.c_str()), upright), 4.0) << name;
  }
}

TEST(OddFiles, GrayHasThreeEqualChannels) {
  MARROW_NEEDS(odd_folder());
  for (const char* name : {"gray.jpg", "gray8.png", "gray_alpha.png", "bilevel.png"}) {
    Image image = read(name);
    for (int y = 0; y < image.height(); ++y) {
      for (size_t x = 0; x < image.row_bytes(); x += 3) {
        const uint8_t* pixel = image.row(y) + x;
        ASSERT_TRUE(pixel[0] == pixel[1] && pixel[1] == pixel[2]) << name << " row " << y << " byte " << x;
      }
    }
  }
}

// The same photo, so that a channel taken for another shows: JPEG and ink conversion cost a few levels.
TEST(OddFiles, CmykAndWebpLookLikeThePhoto) {
  MARROW_NEEDS(odd_folder());
  Image photo = read("plain.jpg");
  for (const char* name : {"cmyk.jpg", "photo.webp", "progressive.jpg"}) {
    EXPECT_LT(mean_difference(read(name), photo), 6.0) << name;
  }
}

// The image is drawn with few colours, of which a palette keeps the strong ones.
TEST(OddFiles, PaletteKeepsTheColours) {
  MARROW_NEEDS(odd_folder());
  EXPECT_LT(mean_difference(read("palette.png"), read("synthetic.png")), 6.0);
}

TEST(OddFiles, TruncatedPhotoKeepsItsUpperPart) {
  MARROW_NEEDS(odd_folder());
  Image whole = read("plain.jpg"), part = read("truncated.jpg");
  EXPECT_EQ(mean_difference(copy_image(whole.region(0, 0, 384, 96)), copy_image(part.region(0, 0, 384, 96))),
            0.0);
  const uint8_t* last = part.row(part.height() - 1);
  for (size_t i = 0; i < part.row_bytes(); ++i) ASSERT_NEAR(last[i], 128, 2);
}

}  // namespace
}  // namespace marrow::image
