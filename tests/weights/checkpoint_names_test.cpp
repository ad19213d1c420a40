#include "marrow/weights/checkpoint_names.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/base/utf8.h"

namespace marrow::weights {
namespace {

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
