#include "marrow/base/text.h"

#include <gtest/gtest.h>

namespace marrow {
namespace {

const std::vector<std::string> kNames = {"starnet_s1", "starnet_s4", "vanillanet_5"};

TEST(Text, NearestNameFindsASlip) {
  EXPECT_EQ(nearest_name("starnet_s5", kNames), "starnet_s1");
  EXPECT_EQ(nearest_name("VanilaNet_5", kNames), "vanillanet_5");
}

TEST(Text, NearestNameDeclinesTheUnlike) {
  EXPECT_EQ(nearest_name("resnet", kNames), "");
  const std::vector<std::string> options = {"--cfg", "--time", "--name"};
  EXPECT_EQ(nearest_name("--img", options), "");
  EXPECT_EQ(nearest_name("--size", options), "");
  EXPECT_EQ(nearest_name("--nmae", options), "--name");
  EXPECT_EQ(nearest_name("cgf", options), "--cfg");
  EXPECT_EQ(nearest_name(std::string(1 << 20, 'x'), kNames), "");
}

TEST(Text, UnknownNameListsTheKnown) {
  EXPECT_EQ(unknown_name_message("backbone", "starnet_s3", kNames),
            "unknown backbone 'starnet_s3'. Did you mean 'starnet_s1'? Known: starnet_s1, starnet_s4, "
            "vanillanet_5");
}

TEST(Text, UnknownNameOfManyIsNoWallOfNames) {
  std::vector<std::string> many(kNames);
  for (int i = 0; i < 20; ++i) many.push_back("n" + std::to_string(i));
  EXPECT_EQ(unknown_name_message("backbone", "starnet_s3", many),
            "unknown backbone 'starnet_s3'. Did you mean 'starnet_s1'?");
  const std::string far = unknown_name_message("backbone", "resnetresnet", many);
  EXPECT_NE(far.find("vanillanet_5, n0, "), std::string::npos);
  EXPECT_TRUE(far.ends_with("n8, ...")) << far;
}

TEST(Text, PrintableCutsAndReplaces) {
  EXPECT_EQ(printable("plain name"), "plain name");
  EXPECT_EQ(printable("a\x1b[31m\n\xff"), "a?[31m??");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("中文 🚗 é"), "中文 🚗 é");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "b\u202ec\u2028d\xe4\xb8"),
            "a?b?c?d??");
  EXPECT_EQ(printable("中文", 4), "中...");  // never inside a character
}

TEST(Text, ListsAreReadLineByLine) {
  EXPECT_EQ(trimmed(" \ta b\r\n"), "a b");
  EXPECT_EQ(trimmed(" "), "");
  EXPECT_EQ(listed_lines("a b\r\n\n  \n\tc"), (std::vector<std::string_view>{"a b", "c"}));
}

}  // namespace
}  // namespace marrow
