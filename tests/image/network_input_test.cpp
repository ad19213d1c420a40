#include "marrow/image/network_input.h"

#include <gtest/gtest.h>

namespace marrow::image {
namespace {

const InputFormat kBlueFirst = {
    .order = ChannelOrder::kBgr, .scale = 1.0, .mean = {10, 20, 55}, .std = {1, 2, 4}};

TEST(Letterbox, GroundIsGrey) {
  Image out = letterbox(Image(4, 2, 200), letterbox_geometry({4, 2}, {4, 4}));
  EXPECT_EQ(out.row(0)[0], 114);
  EXPECT_EQ(out.row(1)[11], 200);
  EXPECT_EQ(out.row(2)[0], 200);
  EXPECT_EQ(out.row(3)[11], 114);
}

TEST(Letterbox, ThinImagesKeepAPixel) {
  for (const Size size : {Size{4000, 1}, Size{1, 4000}, Size{65500, 3}}) {
    const Letterbox box = letterbox_geometry(size, {640, 640}, {.minimum_rectangle = true});
    const Image out = letterbox(Image(size.width, size.height, 9), box);
    EXPECT_EQ(out.row(box.top)[box.left * 3], 9);
  }
}

TEST(NetworkInput, ChannelsAreNormalisedInTheNetworksOrder) {
  Image image(2, 1);
  const uint8_t pixels[] = {10, 20, 255, 40, 50, 60};  // blue, green, red
  std::copy_n(pixels, 6, image.row(0));
  std::vector<float> chw(6);
  fill_network_input(image.pixels(), {}, chw.data());
  EXPECT_EQ(chw, (std::vector<float>{1.0f, 60 / 255.0f, 20 / 255.0f, 50 / 255.0f, 10 / 255.0f, 40 / 255.0f}));
  fill_network_input(image.pixels(), kBlueFirst, chw.data());
  EXPECT_EQ(chw, (std::vector<float>{0, 30, 0, 15, 50, 1.25}));
}

// Each byte over 255 as division in float32 gives it.
TEST(NetworkInput, EqualsDivisionBy255) {
  Image image(256, 1);
  for (int i = 0; i < 256 * 3; ++i) image.row(0)[i] = static_cast<uint8_t>(i / 3);
  std::vector<float> chw(3 * 256);
  fill_network_input(image.pixels(), {}, chw.data());
  for (int i = 0; i < 256; ++i) EXPECT_EQ(chw[static_cast<size_t>(i)], static_cast<float>(i) / 255.0f);
}

TEST(NetworkInput, LetterboxAndNormalisationInOnePassAreTheSame) {
  Image image(37, 23);
  for (int y = 0; y < 23; ++y)
    for (size_t i = 0; i < image.row_bytes(); ++i)
      image.row(y)[i] = static_cast<uint8_t>(31 * i + 7 * i * i + 89 * static_cast<size_t>(y));
  const InputFormat formats[] = {{}, kBlueFirst};
  for (const Size target : {Size{64, 64}, Size{16, 40}, Size{37, 23}, Size{1, 1}})
    for (const InputFormat& format : formats) {
      const Letterbox geometry = letterbox_geometry({37, 23}, target);
      const auto values = static_cast<size_t>(3 * geometry.out.width * geometry.out.height);
      std::vector<float> together(values, -1), apart(values);
      fill_letterboxed(image, geometry, format, together.data());
      fill_network_input(letterbox(image, geometry).pixels(), format, apart.data());
      EXPECT_EQ(together, apart) << target.width;
    }
}

}  // namespace
}  // namespace marrow::image
