#include "marrow/base/utf8.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"

namespace marrow {
namespace {

TEST(Utf8, KnowsWhatIsWellFormed) {
  for (const char* good :
       {"", "plain", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  // A lone continuation, a cut character, an overlong one, a surrogate, one beyond U+10FFFF, bytes that never
  // occur.
  for (const char* bad :
       {"\x80", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xc3("})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Utf8, NumbersCharacters) {
  EXPECT_EQ(code_point("a"), U'a');
  EXPECT_EQ(code_point("é"), U'é');
  EXPECT_EQ(code_point("中"), U'中');
  EXPECT_EQ(code_point("🚗"), U'🚗');
}

TEST(Utf8, MeasuresColumnsOfATerminal) {
  EXPECT_EQ(display_width("cat"), 3u);
  EXPECT_EQ(display_width("кот"), 3u);
  EXPECT_EQ(display_width("中文"), 4u);
  EXPECT_EQ(display_width("🚗"), 2u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("\xff"), 1u);
  EXPECT_EQ(padded("中文", 6), "中文  ");
  EXPECT_EQ(padded("long", 2), "long");
}

TEST(Utf8, TakesByteOrderMarksAway) {
  EXPECT_EQ(utf8_content("\xef\xbb\xbfx", "f"), "x");
  EXPECT_EQ(utf8_content("x", "f"), "x");
  EXPECT_THROW(utf8_content("\xff\xfex", "f"), Error);
  EXPECT_THROW(utf8_content("\xfe\xffx", "f"), Error);
}

}  // namespace
}  // namespace marrow
