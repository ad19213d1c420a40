// Broken files that the tests make themselves: whatever is in them, reading ends with an image of a sane
// size or with an Error, in bounded memory. The sanitizer build runs these too.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>

#include "image/made_files.h"
#include "marrow/base/error.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::image {
namespace {

DecodedImage decode(const std::string& content) {
  return decode_image(std::as_bytes(std::span(content)), "test");
}

Image gradient(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* pixel = image.row(y) + x * 3;
      pixel[0] = static_cast<uint8_t>(x * 7 + y);
      pixel[1] = static_cast<uint8_t>(y * 5);
      pixel[2] = static_cast<uint8_t>((x ^ y) * 3);
    }
  }
  return image;
}

std::string little(uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string big(uint32_t value) {
  std::string text = little(value, 4);
  return {text.rbegin(), text.rend()};
}

std::string bmp(int32_t width, int32_t height, int bits, uint32_t compression, const std::string& palette,
                const std::string& pixels) {
  auto offset = static_cast<uint32_t>(54 + palette.size());
  return "BM" + little(0, 4) + little(0, 4) + little(offset, 4) + little(40, 4) +
         little(static_cast<uint32_t>(width), 4) + little(static_cast<uint32_t>(height), 4) + little(1, 2) +
         little(static_cast<uint32_t>(bits), 2) + little(compression, 4) + little(0, 4) + little(0, 4) +
         little(0, 4) + little(static_cast<uint32_t>(palette.size() / 4), 4) + little(0, 4) + palette +
         pixels;
}

// One uncompressed strip of 8-bit RGB.
std::string tiff(uint32_t width, uint32_t height, uint32_t orientation, const std::string& pixels) {
  auto entry = [](uint32_t tag, uint32_t type, uint32_t count, uint32_t value) {
    return little(tag, 2) + little(type, 2) + little(count, 4) + little(value, 4);
  };
  constexpr uint32_t kEntries = 10, kPixels = 8 + 2 + 12 * kEntries + 4 + 6;
  return "II" + little(42, 2) + little(8, 4) + little(kEntries, 2) + entry(256, 4, 1, width) +
         entry(257, 4, 1, height) + entry(258, 3, 3, kPixels - 6) + entry(259, 3, 1, 1) +
         entry(262, 3, 1, 2) + entry(273, 4, 1, kPixels) + entry(274, 3, 1, orientation) +
         entry(277, 3, 1, 3) + entry(278, 4, 1, height) +
         entry(279, 4, 1, static_cast<uint32_t>(pixels.size())) + little(0, 4) + little(8, 2) + little(8, 2) +
         little(8, 2) + pixels;
}

// 8 x 5 pixels of noise, written by libwebp 1.2.4.
constexpr unsigned char kLosslessWebp[] = {
    0x52, 0x49, 0x46, 0x46, 0x6a, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38, 0x4c, 0x5d,
    0x00, 0x00, 0x00, 0x2f, 0x07, 0x00, 0x01, 0x00, 0xcd, 0x54, 0x20, 0xa2, 0xff, 0xb1, 0x89, 0x88, 0xfe,
    0x07, 0x18, 0x05, 0x00, 0xc8, 0xc8, 0xcf, 0x57, 0x04, 0x11, 0x44, 0x10, 0x41, 0x81, 0xbd, 0xfd, 0x44,
    0x10, 0x41, 0x04, 0x11, 0x44, 0x10, 0xe1, 0x1a, 0xec, 0xf1, 0xbd, 0x16, 0x57, 0x41, 0x20, 0x90, 0x86,
    0x28, 0x96, 0x98, 0x26, 0xb1, 0x60, 0xe2, 0x6f, 0x33, 0x9a, 0x5c, 0xfa, 0x82, 0x60, 0x92, 0xa6, 0xda,
    0x8e, 0x81, 0x9d, 0xef, 0x3d, 0x7f, 0xe7, 0xe9, 0x5b, 0x8f, 0x1f, 0x02, 0xf0, 0xb1, 0xb1, 0x30, 0x19,
    0x74, 0x1a, 0x95, 0x82, 0x82, 0x41, 0x21, 0x60, 0x7e, 0x0f, 0x03, 0x00};
constexpr unsigned char kLossyWebp[] = {
    0x52, 0x49, 0x46, 0x46, 0x6c, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38, 0x20, 0x60,
    0x00, 0x00, 0x00, 0xd0, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x08, 0x00, 0x05, 0x00, 0x02, 0x80, 0x42, 0x25,
    0xb0, 0x02, 0x74, 0x00, 0xf4, 0x8c, 0xf2, 0x3c, 0x00, 0x00, 0xf9, 0x62, 0xc9, 0x18, 0x97, 0xf9, 0x98,
    0x9d, 0xa4, 0x23, 0xf1, 0x22, 0xd2, 0x49, 0x24, 0xd4, 0xb5, 0xea, 0x31, 0xa7, 0xc4, 0x0c, 0x10, 0x5f,
    0xb5, 0x9a, 0xbf, 0xa1, 0x36, 0xdb, 0xec, 0xff, 0xff, 0x00, 0xcd, 0x07, 0x36, 0x7d, 0xef, 0xf9, 0x3b,
    0xf8, 0xbc, 0x08, 0x8c, 0xb1, 0x3e, 0xef, 0x5e, 0x13, 0xff, 0x3f, 0xff, 0x83, 0x7d, 0x43, 0x48, 0xfb,
    0xe6, 0x72, 0x6d, 0xaf, 0x6f, 0xd8, 0x67, 0xcc, 0x18, 0x56, 0x67, 0xef, 0x00, 0x00};

template <size_t N>
std::string text(const unsigned char (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N};
}

void expect_survives(const std::string& content, const std::string& what) {
  try {
    DecodedImage decoded = decode(content);
    EXPECT_FALSE(decoded.image.empty()) << what;
    EXPECT_LE(int64_t{decoded.image.width()} * decoded.image.height(), kMaxImagePixels) << what;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("test"), std::string::npos) << what << ": " << error.what();
  }
}

struct Sample {
  const char* name;
  std::string content;
};

std::vector<Sample> samples() {
  Image image = gradient(68, 45);
  std::string rows;
  for (int y = 0; y < image.height(); ++y)
    rows.append(reinterpret_cast<const char*>(image.row(y)), image.row_bytes());
  return {{"JPEG", encode_jpeg(image.pixels())},
          {"PNG", encode_png(image.pixels())},
          {"TIFF", tiff(68, 45, 6, rows)},
          {"BMP", bmp(68, 45, 24, 0, "", rows)},
          {"BMP with runs", bmp(8, 2, 8, 1, little(0x112233, 4) + little(0x445566, 4),
                                std::string("\x08\x01\0\0\0\x04\x01\0\x01\0\x04\x01\0\x01", 14))},
          {"lossless WebP", text(kLosslessWebp)},
          {"lossy WebP", text(kLossyWebp)}};
}

TEST(HostileFiles, SamplesAreSound) {
  for (const Sample& sample : samples()) {
    DecodedImage decoded;
    EXPECT_NO_THROW(decoded = decode(sample.content)) << sample.name;
    EXPECT_FALSE(decoded.image.empty()) << sample.name;
    EXPECT_EQ(decoded.warning, "") << sample.name;
  }
}

TEST(HostileFiles, TruncatedAnywhere) {
  for (const Sample& sample : samples()) {
    size_t step = sample.content.size() > 1000 ? 64 : 1;
    for (size_t length = 0; length < sample.content.size(); length += step) {
      std::string what = std::string(sample.name) + " cut at " + std::to_string(length);
      std::string part = sample.content.substr(0, length);
      expect_survives(part, what);
      // Pixels are missing as long as more than a trailer is cut off: an error, or for JPEG a warning.
      if (length + 64 > sample.content.size()) continue;
      try {
        EXPECT_NE(decode(part).warning, "") << what;
      } catch (const Error&) {
      }
    }
  }
}

// A photo that was not copied to its end: what is there is said, and of nothing there is no image.
TEST(HostileFiles, AJpegThatIsMostlyMissing) {
  const std::string whole = encode_jpeg(draw_scene(320, 240, 3).pixels());
  const auto warning = [&](double share) {
    return decode(whole.substr(0, static_cast<size_t>(share * static_cast<double>(whole.size())))).warning;
  };
  EXPECT_SAYS(warning(0.9), "of 240 rows; the rest is grey");
  EXPECT_SAYS(warning(0.3), "of 240 rows; most of the image is missing");
  const size_t pixels = whole.find("\xff\xda") + 40;  // a little behind the last header
  EXPECT_SAYS(testing::message_of([&] { decode(whole.substr(0, pixels)); }),
              "ends before the first rows of the image");
}

TEST(HostileFiles, AnyByteFlipped) {
  for (const Sample& sample : samples()) {
    for (size_t at = 0; at < sample.content.size(); at += at < 256 ? 1 : 17) {
      for (unsigned char mask : {0x01, 0x80, 0xff}) {
        std::string broken = sample.content;
        broken[at] = static_cast<char>(broken[at] ^ mask);
        expect_survives(broken, std::string(sample.name) + " flipped at " + std::to_string(at));
      }
    }
  }
}

TEST(HostileFiles, EmptyAndForeignFilesAreNamed) {
  for (const std::string& content :
       {std::string(), std::string(1, '\0'), std::string("BM"), std::string("\xff\xd8\xff"),
        std::string("II*\0", 4), std::string("RIFF\0\0\0\0WEBP", 12), std::string("\x89PNG\r\n\x1a\n"),
        std::string("hello world"), std::string("GIF89a"), std::string(1000, '\xff')}) {
    EXPECT_THROW(decode(content), Error);
  }
}

// A claim that the file's length cannot back is refused before the pixels are allocated: 14000 x 14000 is
// below the limits, so that only the length tells.
TEST(HostileFiles, HugeClaimsAreRefused) {
  auto expect_refused = [](const std::string& content, const char* what) {
    EXPECT_THROW(decode(content), Error) << what;
  };
  for (uint32_t side : {14000u, 60000u, 65535u, 0x7fffffffu, 0xffffffffu}) {
    expect_refused(
        bmp(static_cast<int32_t>(side), static_cast<int32_t>(side), 24, 0, "", std::string(146, 'x')), "BMP");
    expect_refused(
        bmp(static_cast<int32_t>(side), static_cast<int32_t>(side), 8, 1, "", std::string(146, '\0')),
        "BMP with runs");
    expect_refused(tiff(side, side, 1, std::string(146, 'x')), "TIFF");
    std::string png = encode_png(gradient(8, 8).pixels());
    png.replace(16, 8, big(side) + big(side));
    expect_refused(png, "PNG");
  }
  std::string jpeg = encode_jpeg(gradient(8, 8).pixels());
  size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  for (const char* side : {"\x36\xb0", "\xea\x60", "\xff\xff"}) {
    jpeg.replace(frame + 5, 4, std::string(side, 2) + std::string(side, 2));
    expect_refused(jpeg, "JPEG");
  }
  std::string large = text(kLosslessWebp);
  large.replace(21, 4, "\xff\xff\xff\x0f");  // 16384 x 16384
  expect_refused(large, "WebP");
}

// Whatever its page claims: memory is taken for whole tiles, of all their samples.
TEST(HostileFiles, NoTileOfATiffIsFarLargerThanItsPage) {
  made::TiffPage page = {.width = 16, .height = 16, .bits = 8, .tile = 30'000};
  page.strips = {std::string(16 * 16 * 900, '\0')};
  EXPECT_SAYS(testing::message_of([&] { decode(made::make_tiff({page})); }),
              "tiles of 30000 x 30000 pixels in an image of 16 x 16");
  page.tile = 1024;
  page.samples = 900;
  EXPECT_SAYS(testing::message_of([&] { decode(made::make_tiff({page})); }),
              "tiles of 1024 x 1024 pixels in an image of 16 x 16");
  page.samples = 1;
  page.strips = {std::string(1024 * 1024, '\x55')};
  EXPECT_EQ(decode(made::make_tiff({page})).image.width(), 16);
}

TEST(HostileFiles, FaxCodesAreNotBelievedEverything) {
  made::TiffPage page = {.width = 14'000, .height = 14'000, .bits = 1, .compression = 4};
  page.strips = {std::string(100, '\xff')};  // a bit a row, which is as the one above
  EXPECT_SAYS(testing::message_of([&] { decode(made::make_tiff({page})); }), "14000 x 14000 pixels");
  page.width = page.height = 400;
  EXPECT_EQ(decode(made::make_tiff({page})).image.width(), 400);
}

// Lossless WebP keeps a picture of one colour without a bit a pixel: both of these are whole.
TEST(HostileFiles, AFewBytesOfWebPHoldNoMoreThanAPicture) {
  const auto of_one_colour = [](uint32_t side) {
    const std::string content = "\x2f" + little((side - 1) | ((side - 1) << 14) | (1u << 28), 4) +
                                std::string("\x88\x88\x08\0\0\0\0\0\0\0\0", 11);
    const std::string body = "WEBPVP8L" + little(content.size(), 4) + content;
    return "RIFF" + little(body.size(), 4) + body;
  };
  EXPECT_EQ(decode(of_one_colour(2000)).image.width(), 2000);
  EXPECT_SAYS(testing::message_of([&] { decode(of_one_colour(14'000)); }),
              "36 bytes for 14000 x 14000 pixels");
}

TEST(Bmp, ReadsEveryDepth) {
  std::string two_colours = little(0x000000ff, 4) + little(0x0000ff00, 4);  // blue 255, green 255
  Image expected(3, 1);
  const uint8_t pixels[] = {255, 0, 0, 0, 255, 0, 255, 0, 0};
  std::memcpy(expected.row(0), pixels, sizeof pixels);
  EXPECT_EQ(decode(bmp(3, 1, 1, 0, two_colours, std::string("\x40\0\0\0", 4))).image, expected);
  EXPECT_EQ(decode(bmp(3, 1, 4, 0, two_colours, std::string("\x01\0\0\0", 4))).image, expected);
  EXPECT_EQ(decode(bmp(3, 1, 8, 0, two_colours, std::string("\0\x01\0\0", 4))).image, expected);
  EXPECT_EQ(
      decode(bmp(3, 1, 16, 0, "", little(0x1f, 2) + little(0x3e0, 2) + little(0x1f, 2) + little(0, 2))).image,
      expected);
  EXPECT_EQ(decode(bmp(3, -1, 24, 0, "", std::string("\xff\0\0\0\xff\0\xff\0\0\0\0\0", 12))).image, expected);
  EXPECT_EQ(decode(bmp(3, 1, 32, 0, "", little(0xff, 4) + little(0xff00, 4) + little(0xff, 4))).image,
            expected);
  EXPECT_EQ(decode(bmp(3, 1, 8, 1, two_colours, std::string("\x01\0\x01\x01\x01\0\0\x01", 8))).image,
            expected);
  EXPECT_EQ(decode(bmp(3, 1, 4, 2, two_colours, std::string("\x03\x01\0\x01", 4))).image, expected);
}

TEST(Tiff, OrientationIsApplied) {
  std::string red_green("\xff\0\0\0\xff\0", 6);  // two pixels side by side
  Image stored = decode(tiff(2, 1, 1, red_green)).image;
  EXPECT_EQ(stored.width(), 2);
  EXPECT_EQ(stored.row(0)[2], 255);
  Image mirrored = decode(tiff(2, 1, 2, red_green)).image;
  EXPECT_EQ(mirrored.row(0)[1], 255);
  Image turned = decode(tiff(2, 1, 6, red_green)).image;  // a quarter clockwise: the left pixel comes on top
  EXPECT_EQ(turned.height(), 2);
  EXPECT_EQ(turned.row(0)[2], 255);
  Image turned_back = decode(tiff(2, 1, 8, red_green)).image;
  EXPECT_EQ(turned_back.row(1)[2], 255);
}

}  // namespace
}  // namespace marrow::image
