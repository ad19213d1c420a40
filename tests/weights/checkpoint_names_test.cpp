#include "marrow/weights/checkpoint_names.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"

namespace marrow::weights {
namespace {

TEST(CheckpointNames, KnowsUtf8) {
  for (const char* good :
       {"", "plain", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  // A lone continuation, a cut character, an overlong one, a surrogate, one beyond U+10FFFF, bytes that never
  // occur.
  for (const char* bad :
       {"\x80", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xc3("})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(CheckpointNames, TensorNamesAreCheckedAndUnchanged) {
  EXPECT_EQ(checked_name("model.0.conv.weight", "f"), "model.0.conv.weight");
  EXPECT_EQ(checked_name("StructuredToParameterName@@", "f"), "StructuredToParameterName@@");
  EXPECT_NO_THROW(checked_name(std::string(kMaxTensorName, 'x'), "f"));
  EXPECT_THROW(checked_name(std::string(kMaxTensorName + 1, 'x'), "f"), Error);
  EXPECT_THROW(checked_name("", "f"), Error);
  EXPECT_THROW(checked_name("a\nb", "f"), Error);
  EXPECT_THROW(checked_name("a\xff", "f"), Error);
}

TEST(CheckpointNames, LabelsAreRepairedAndCut) {
  EXPECT_EQ(display_text("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(display_text("a\xff\xc3z"), "a??z");
  EXPECT_EQ(display_text(std::string(5000, 'x')).size(), 1000u);
  EXPECT_TRUE(is_utf8(display_text(std::string(999, 'x') + "\xc3\xa9"))) << "never cut inside a character";
}

}  // namespace
}  // namespace marrow::weights
