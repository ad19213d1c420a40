// Text that is not ASCII on images. What fonts are installed differs; Debian's fonts-dejavu-core is wanted.
#include "marrow/detect/font_text.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/detect/draw.h"
#include "marrow/detect/text_order.h"

namespace marrow::detect {
namespace {

TEST(TextOrder, LeavesMostScriptsAsTheyAre) {
  EXPECT_EQ(in_drawing_order("cat é 中文 🚗"), U"cat é 中文 🚗");
  EXPECT_EQ(in_drawing_order("a\tb\xff"), U"a b\ufffd");
  EXPECT_EQ(in_drawing_order("a\u200d\ufe0fb"), U"ab");
}

TEST(TextOrder, TurnsWhatIsWrittenFromTheRight) {
  EXPECT_EQ(in_drawing_order("שלום"), U"םולש");
  EXPECT_EQ(in_drawing_order("bus שלום 0.87"), U"bus םולש 0.87");
  EXPECT_EQ(in_drawing_order("אב 12 גד"), U"דג 12 בא");
}

TEST(TextOrder, JoinsArabicLetters) {
  // Seen at the beginning, lam and alef as one at the end, meem alone; from the right.
  EXPECT_EQ(in_drawing_order("سلام"), U"\ufee1\ufefc\ufeb3");
  // Kaf, lam, beh: at the beginning, in the middle, at the end.
  EXPECT_EQ(in_drawing_order("كلب"), U"\ufe90\ufee0\ufedb");
  EXPECT_EQ(in_drawing_order("دار"), U"\ufead\ufe8d\ufea9");
}

class FontText : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!can_draw(U'ж')) GTEST_SKIP() << "FreeType or a font with Cyrillic letters is not here";
  }
  static int covered(const TextPixels& text) {
    return static_cast<int>(
        std::ranges::count_if(text.pixels, [](const TextPixels::Pixel& pixel) { return pixel.cover > 127; }));
  }
};

TEST_F(FontText, DrawsWhatAFontHas) {
  const auto text = draw_text("жук", 30, {10, 20, 30});
  ASSERT_TRUE(text);
  EXPECT_EQ(text->pixels.size(), static_cast<size_t>(text->width * (text->above + text->below)));
  EXPECT_GT(text->above, 10);
  EXPECT_LT(text->above, 40);
  EXPECT_GT(text->below, 2) << "the tail of у";
  EXPECT_GT(covered(*text), 50);
  const std::array<uint8_t, 3> colour = {10, 20, 30};
  EXPECT_TRUE(std::ranges::all_of(
      text->pixels, [&](const TextPixels::Pixel& pixel) { return pixel.cover == 0 || pixel.bgr == colour; }));
  const auto half = draw_text("жук", 15, {});
  ASSERT_TRUE(half);
  EXPECT_NEAR(half->width, text->width / 2.0, 4);
}

TEST_F(FontText, OddTextIsSafe) {
  for (const char* text : {"", " ", "\u0301", "\xff", "a\nb"}) {
    const auto drawn = draw_text(text, 20, {});
    if (!drawn) continue;
    EXPECT_EQ(drawn->pixels.size(), static_cast<size_t>(drawn->width * (drawn->above + drawn->below)));
  }
}

TEST_F(FontText, WhatNoFontHasIsNotDrawn) {
  // The last planes are for private use: no font has all of them.
  std::string nobody = "a\xf4\x8f\xbf\xbd";  // U+10FFFD
  for (char32_t code = 0x10fffd; can_draw(code); --code) --nobody.back();
  EXPECT_FALSE(draw_text(nobody, 20, {}));
}

TEST(DrawableName, IsNeverAQuestionMark) {
  EXPECT_EQ(drawable_name("cat?", 3), "cat?");
  const std::string nobody = "\xf4\x8f\xbf\xbd";
  if (!can_draw(0x10fffd)) {
    EXPECT_EQ(drawable_name(nobody, 3), "3");
  }
  for (const char* name : {"中文", "🚗", "ü", "ж", "عربي"}) {
    const std::string drawn = drawable_name(name, 7);
    EXPECT_EQ(drawn.find('?'), std::string::npos) << name;
    EXPECT_FALSE(drawn.empty());
  }
  EXPECT_NE(drawable_name("中文", 7), drawable_name("文中", 8));
}

TEST_F(FontText, LabelsOfOtherScriptsAreDrawnAndDiffer) {
  const std::vector<std::string> names = {"жук", "лев"};
  std::vector<image::Image> images;
  for (int class_id = 0; class_id < 2; ++class_id) {
    image::Image& image = images.emplace_back(200, 200, uint8_t{90});
    const std::vector<Detection> one = {{{20, 60, 180, 190}, 0.87f, 0, 0}};
    draw_detections(image, one, std::vector<std::string>{names[static_cast<size_t>(class_id)]});
  }
  int white = 0, differ = 0;
  for (int y = 0; y < 60; ++y)
    for (int x = 0; x < 600; ++x) {
      white += images[0].row(y)[x] > 200;
      differ += images[0].row(y)[x] != images[1].row(y)[x];
    }
  EXPECT_GT(white, 50);
  EXPECT_GT(differ, 50);
}

TEST_F(FontText, ALabelIsCutToTheLettersThatFit) {
  const auto drawn = [](int letters) {
    std::string name;
    for (int i = 0; i < letters; ++i) name += i % 2 == 0 ? "ж" : "л";
    image::Image image(200, 200, uint8_t{90});
    draw_detections(image, std::vector<Detection>{{{20, 60, 180, 190}, 0.87f, 0, 0}}, std::vector{name});
    return image;
  };
  EXPECT_EQ(drawn(80), drawn(90));
  EXPECT_EQ(drawn(1000000), drawn(500));
  EXPECT_NE(drawn(3), drawn(80));
}

}  // namespace
}  // namespace marrow::detect
