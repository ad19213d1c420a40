// Images of other numbers of channels, and of 16 bits.
#include <gtest/gtest.h>

#include "made_files.h"
#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/image/convert.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "support/message_of.h"

namespace marrow::image {
namespace {

Image decode_as(const std::string& content, const ImageReading& reading) {
  return decode_image(std::as_bytes(std::span(content)), "test", {.fit = {}, .reading = reading}).image;
}

ImageReading reading(int channels, int bits, SampleRange range = {}) {
  return {{channels, bits}, range};
}

// A sample that says where it is from.
uint16_t sample_at(uint32_t x, uint32_t y, uint32_t c) {
  return static_cast<uint16_t>(1000 * c + 300 * y + 70 * x + 5);
}

// The page with all of its strips or tiles, of the channels from `first` on.
made::TiffPage filled(made::TiffPage page, uint32_t first = 0) {
  const uint32_t part_height = page.tile > 0 ? page.tile : page.rows > 0 ? page.rows : page.height;
  const uint32_t part_width = page.tile > 0 ? page.tile : page.width;
  const uint32_t planes = page.planar == 2 ? page.samples : 1;
  for (uint32_t plane = 0; plane < planes; ++plane)
    for (uint32_t y0 = 0; y0 < page.height; y0 += part_height)
      for (uint32_t x0 = 0; x0 < page.width; x0 += part_width) {
        std::string part;
        const uint32_t end = page.tile > 0 ? y0 + part_height : std::min(y0 + part_height, page.height);
        for (uint32_t y = y0; y < end; ++y)
          for (uint32_t x = x0; x < x0 + part_width; ++x)
            for (uint32_t c = 0; c < page.samples / planes; ++c) {
              const uint16_t value = sample_at(x, y, first + plane + c);
              part += page.bits == 16 ? made::little(value, 2) : made::little(value % 251, 1);
            }
        page.strips.push_back(part);
      }
  return page;
}

void expect_all_samples(const Image& image, int channels) {
  ASSERT_EQ(image.format(), (SampleFormat{channels, 16}));
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x)
      for (int c = 0; c < channels; ++c)
        EXPECT_EQ(image.samples<uint16_t>(y)[x * channels + c],
                  sample_at(static_cast<uint32_t>(x), static_cast<uint32_t>(y), static_cast<uint32_t>(c)))
            << x << ' ' << y << ' ' << c;
}

std::string grey_png_16(const std::vector<uint16_t>& row) {
  std::string samples;
  for (const uint16_t value : row) samples += made::big(value, 2);
  return made::make_png(static_cast<uint32_t>(row.size()), 1, 16, 0, {samples});
}

Image noise(int width, int height, const SampleFormat& format) {
  Image image(width, height, 0, format);
  Random random(3, "noise");
  for (size_t i = 0; i < image.byte_size(); ++i) image.row(0)[i] = static_cast<uint8_t>(random.below(256));
  return image;
}

TEST(DecodedChannels, BandsLieSideBySideOrInPlanesOrInPages) {
  expect_all_samples(decode_as(made::make_tiff({filled({.samples = 5})}), reading(5, 16)), 5);
  expect_all_samples(decode_as(made::make_tiff({filled({.samples = 5, .rows = 2})}), reading(5, 16)), 5);
  expect_all_samples(decode_as(made::make_tiff({filled({.samples = 5, .planar = 2})}), reading(5, 16)), 5);
  expect_all_samples(
      decode_as(made::make_tiff({filled({.samples = 5, .planar = 2, .rows = 1})}), reading(5, 16)), 5);
  for (const uint32_t planar : {1, 2})
    expect_all_samples(
        decode_as(made::make_tiff(
                      {filled({.width = 40, .height = 21, .samples = 5, .planar = planar, .tile = 16})}),
                  reading(5, 16)),
        5);
  std::vector<made::TiffPage> pages;
  for (uint32_t c = 0; c < 4; ++c) pages.push_back(filled({}, c));
  expect_all_samples(decode_as(made::make_tiff(pages), reading(4, 16)), 4);
  const std::vector<made::TiffPage> pairs = {filled({.samples = 2}), filled({.samples = 2}, 2)};
  expect_all_samples(decode_as(made::make_tiff(pairs), reading(4, 16)), 4);
}

TEST(DecodedChannels, SmallerCopiesOfAPageDoNotCount) {
  const made::TiffPage copy = filled({.width = 2, .height = 1, .samples = 4, .kind = 1});
  expect_all_samples(decode_as(made::make_tiff({filled({.samples = 4}), copy}), reading(4, 16)), 4);
}

TEST(DecodedChannels, BandsOf8And16BitsBecomeEachOther) {
  const std::string wide = made::make_tiff({filled({.samples = 4})});
  const std::string bytes = made::make_tiff({filled({.samples = 4, .bits = 8})});
  const Image narrowed = decode_as(wide, reading(4, 8)), widened = decode_as(bytes, reading(4, 16));
  const Image stored = decode_as(bytes, reading(4, 8));
  for (int y = 0; y < 3; ++y)
    for (int i = 0; i < 16; ++i) {
      const uint16_t value =
          sample_at(static_cast<uint32_t>(i) / 4, static_cast<uint32_t>(y), static_cast<uint32_t>(i) % 4);
      EXPECT_EQ(narrowed.row(y)[i], (value + 128) / 257);
      EXPECT_EQ(stored.row(y)[i], value % 251);
      EXPECT_EQ(widened.samples<uint16_t>(y)[i], value % 251 * 257);
    }
}

TEST(DecodedChannels, OrientationTurnsAllOfThem) {
  const Image stored = decode_as(made::make_tiff({filled({.samples = 4})}), reading(4, 16));
  const Image turned = decode_as(made::make_tiff({filled({.samples = 4, .orientation = 6})}), reading(4, 16));
  ASSERT_EQ(turned.width(), 3);
  ASSERT_EQ(turned.height(), 4);
  for (int c = 0; c < 4; ++c)  // a quarter clockwise: the left lower corner comes to the left on top
    EXPECT_EQ(turned.samples<uint16_t>(0)[c], stored.samples<uint16_t>(2)[c]);
}

TEST(DecodedChannels, OthersThanWantedAreNamed) {
  const std::string four = made::make_tiff({filled({.samples = 4})});
  const auto found = [&](const std::string& content, int wanted) {
    return marrow::testing::message_of([&] { decode_as(content, reading(wanted, 16)); });
  };
  EXPECT_EQ(found(four, 5), "test: TIFF of 4 channels; wanted 5");
  EXPECT_EQ(found(made::make_tiff({filled({}), filled({}), filled({})}), 2),
            "test: TIFF of 3 channels in 3 pages; wanted 2");
  EXPECT_EQ(found(four, 3), "test: TIFF of 4 channels; wanted 3");
  EXPECT_EQ(found(four, 1), "test: TIFF of 4 channels; wanted 1");
  EXPECT_EQ(marrow::testing::message_of([&] { decode_as(four, reading(1, 8)); }),
            "test: TIFF of 4 channels; wanted 1");
  EXPECT_EQ(found(encode_png(Image(2, 2).pixels()), 4), "test: PNG of 3 channels; wanted 4");
  EXPECT_EQ(found(encode_jpeg(Image(2, 2).pixels()), 4),
            "test: JPEG of 1 or 3 channels; wanted 4, which a TIFF may have");
  EXPECT_EQ(found(made::make_tiff({filled({.samples = 2}), filled({.width = 5, .samples = 2})}), 4),
            "test: TIFF page 2 of 2: 5 x 3 pixels, the first has 4 x 3");
  EXPECT_EQ(found(made::make_tiff({filled({.samples = 2}), filled({.samples = 2, .bits = 8})}), 4),
            "test: TIFF page 2 of 2: samples of 8 bits, the first has 16");
}

TEST(DecodedChannels, OnlyUnsignedSamplesAreRead) {
  const auto found = [](const made::TiffPage& page, int wanted) {
    return marrow::testing::message_of(
        [&] { decode_as(made::make_tiff({filled(page)}), reading(wanted, 16)); });
  };
  EXPECT_EQ(found({.samples = 4, .number = 2}, 4),
            "test: TIFF of signed samples of 16 bits; unsigned samples of 8 or 16 bits can be read");
  EXPECT_EQ(found({.samples = 4, .number = 3}, 4),
            "test: TIFF of floating-point samples of 16 bits; unsigned samples of 8 or 16 bits can be read");
  EXPECT_EQ(found({.number = 2}, 1),
            "test: TIFF of signed samples of 16 bits; unsigned samples of 8 or 16 bits can be read");
  made::TiffPage wide = {.bits = 32, .number = 3};
  wide.strips = {std::string(4 * 3 * 4, '\0')};
  EXPECT_EQ(marrow::testing::message_of([&] { decode_as(made::make_tiff({wide}), reading(1, 16)); }),
            "test: TIFF of floating-point samples of 32 bits; unsigned samples of 8 or 16 bits can be read");
}

TEST(DecodedChannels, MissingPartsAreErrorsAndHugeClaimsCostNothing) {
  made::TiffPage page = filled({.samples = 4, .planar = 2});
  page.strips.pop_back();
  EXPECT_THROW(decode_as(made::make_tiff({page}), reading(4, 16)), Error);
  page = filled({.samples = 4, .planar = 2, .rows = 1});
  page.strips.back().clear();
  EXPECT_THROW(decode_as(made::make_tiff({page}), reading(4, 16)), Error);
  page = filled({.samples = 4});
  page.strips[0].resize(page.strips[0].size() - 2);
  EXPECT_THROW(decode_as(made::make_tiff({page}), reading(4, 16)), Error);
  page = filled({.samples = 4, .tile = 16});
  page.tile = 1u << 30;
  EXPECT_THROW(decode_as(made::make_tiff({page}), reading(4, 16)), Error);
  page = filled({.samples = 64});
  page.width = page.height = 8192;  // 2^32 samples
  const std::string message =
      marrow::testing::message_of([&] { decode_as(made::make_tiff({page}), reading(64, 16)); });
  EXPECT_EQ(message,
            "test: TIFF of 8192 x 8192 pixels of 64 channels of 16 bits; at most 600 MB can be read");
  page.width = page.height = 2048;
  EXPECT_THROW(decode_as(made::make_tiff({page}), reading(64, 16)), Error);
}

TEST(DecodedChannels, DamagedFilesAreErrorsOrImages) {
  const std::string good = made::make_tiff({filled({.samples = 3, .planar = 2, .rows = 1}), filled({}, 3)});
  ASSERT_EQ(decode_as(good, reading(4, 16)).channels(), 4);
  Random random(1, "damage");
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    const size_t changes = 1 + static_cast<size_t>(random.below(3));
    for (size_t k = 0; k < changes; ++k) bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    if (i % 4 == 0) bad.resize(random.below(bad.size()));
    try {
      EXPECT_EQ(decode_as(bad, reading(4, 16)).channels(), 4);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()), "");
    }
  }
}

TEST(DecodedChannels, TransparencyOfAPngIsAChannel) {
  const std::string rgba = made::make_png(1, 1, 8, 6, {"\x0a\x14\x1e\x28"});
  const Image four = decode_as(rgba, reading(4, 8));
  EXPECT_EQ(std::vector(four.row(0), four.row(0) + 4), (std::vector<uint8_t>{10, 20, 30, 40}));
  const Image three = decode_as(rgba, {});
  EXPECT_EQ(std::vector(three.row(0), three.row(0) + 3), (std::vector<uint8_t>{30, 20, 10}));
  const Image two =
      decode_as(made::make_png(1, 1, 16, 4, {made::big(300, 2) + made::big(4000, 2)}), reading(2, 16));
  EXPECT_EQ(two.samples<uint16_t>(0)[0], 300);
  EXPECT_EQ(two.samples<uint16_t>(0)[1], 4000);
}

TEST(DecodedGrey, IsTheWeightedSumOfColours) {
  Image colour(3, 1);
  const uint8_t pixels[] = {255, 0, 0, 0, 255, 0, 0, 0, 255};
  std::copy_n(pixels, 9, colour.row(0));
  for (const std::string& file : {encode_png(colour.pixels()), encode_tiff(colour.pixels())}) {
    const Image grey = decode_as(file, reading(1, 8));
    ASSERT_EQ(grey.format(), (SampleFormat{1, 8}));
    EXPECT_EQ(std::vector(grey.row(0), grey.row(0) + 3), (std::vector<uint8_t>{29, 150, 76}));
  }
}

TEST(DecodedGrey, OfAJpegIsItsLuma) {
  const Image colour = noise(40, 24, {});
  const std::string file = encode_jpeg(colour.pixels(), {.quality = 90, .subsample_chroma = false});
  const Image grey = decode_as(file, reading(1, 8)), mixed = to_grey(decode_as(file, {}));
  ASSERT_EQ(grey.format(), (SampleFormat{1, 8}));
  int64_t difference = 0;
  for (size_t i = 0; i < grey.byte_size(); ++i) difference += std::abs(grey.row(0)[i] - mixed.row(0)[i]);
  // Colours that leave 0..255 are cut off in one and not in the other; most agree.
  EXPECT_LT(static_cast<double>(difference) / static_cast<double>(grey.byte_size()), 8);
  Image flat(16, 16);
  for (size_t i = 0; i < flat.byte_size(); ++i) flat.row(0)[i] = 77;
  EXPECT_EQ(decode_as(encode_jpeg(flat.pixels()), reading(1, 8)).row(3)[5], 77);
}

TEST(Decoded16Bits, KeepWhatTheFileHolds) {
  const std::string png = grey_png_16({0, 1, 256, 4095, 65535});
  const Image grey = decode_as(png, reading(1, 16));
  EXPECT_EQ(std::vector(grey.samples<uint16_t>(0), grey.samples<uint16_t>(0) + 5),
            (std::vector<uint16_t>{0, 1, 256, 4095, 65535}));
  const Image colour = decode_as(png, reading(3, 16));
  for (int i = 0; i < 15; ++i) EXPECT_EQ(colour.samples<uint16_t>(0)[i], grey.samples<uint16_t>(0)[i / 3]);
  made::TiffPage white_is_0 = {.width = 1, .height = 1, .photometric = 0};
  white_is_0.strips = {made::little(100, 2)};
  EXPECT_EQ(decode_as(made::make_tiff({white_is_0}), reading(1, 16)).samples<uint16_t>(0)[0], 65435);
}

TEST(Decoded16Bits, AreStretchedToTheirRange) {
  const Image grey =
      decode_as(grey_png_16({0, 100, 200, 2148, 4095, 4096, 60000}), reading(1, 16, {200, 4095}));
  const uint16_t* row = grey.samples<uint16_t>(0);
  EXPECT_EQ(row[0], 0);
  EXPECT_EQ(row[1], 0);
  EXPECT_EQ(row[2], 0);
  EXPECT_NEAR(row[3] / 65535.0, 1948.0 / 3895, 1e-5);
  EXPECT_EQ(row[4], 65535);
  EXPECT_EQ(row[6], 65535);
  EXPECT_EQ(marrow::testing::message_of([] {
              decode_as(encode_png(Image(2, 2).pixels()), reading(1, 16, {0, 4095}));
            }),
            "test: samples of 8 bits; wanted 16 bits from 0 to 4095");
}

TEST(Decoded16Bits, OfThreeBandsAreColours) {
  const Image bands = decode_as(made::make_tiff({filled({.samples = 3})}), reading(3, 16));
  for (int c = 0; c < 3; ++c)
    EXPECT_EQ(bands.samples<uint16_t>(0)[c], sample_at(0, 0, 2 - static_cast<uint32_t>(c)));
}

TEST(Decoded16Bits, OfColoursHaveBlueFirst) {
  const Image colour = noise(7, 5, {3, 16});
  EXPECT_EQ(decode_as(encode_tiff(colour.pixels()), reading(3, 16)), colour);
  std::string row;
  for (const uint16_t value : {1000, 2000, 3000}) row += made::big(value, 2);
  const Image png = decode_as(made::make_png(1, 1, 16, 2, {row}), reading(3, 16));
  EXPECT_EQ(std::vector(png.samples<uint16_t>(0), png.samples<uint16_t>(0) + 3),
            (std::vector<uint16_t>{3000, 2000, 1000}));
}

TEST(EncodedTiff, IsReadBackAsItWas) {
  for (const int channels : {1, 2, 3, 4, 13, 64})
    for (const int bits : {8, 16}) {
      const Image image = noise(9, 4, {channels, bits});
      EXPECT_EQ(decode_as(encode_tiff(image.pixels()), reading(channels, bits)), image)
          << channels << ' ' << bits;
    }
}

TEST(Displayed, ShowsOneChannelAsGreyAndOfManyTheFirstThree) {
  Image grey(1, 1, 0, {1, 16});
  grey.samples<uint16_t>(0)[0] = 100 * 257 + 100;
  EXPECT_EQ(displayed(grey), Image(1, 1, 100));
  Image bands(1, 1, 0, {5, 8});
  for (uint8_t c = 0; c < 5; ++c) bands.row(0)[c] = static_cast<uint8_t>(10 * (c + 1));
  const Image shown = displayed(bands);
  EXPECT_EQ(std::vector(shown.row(0), shown.row(0) + 3), (std::vector<uint8_t>{30, 20, 10}));
  const Image colour = noise(5, 5, {});
  EXPECT_EQ(displayed(colour), colour);
}

}  // namespace
}  // namespace marrow::image
