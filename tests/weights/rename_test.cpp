#include "marrow/weights/rename.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"

namespace marrow::weights {
namespace {

using Captures = std::vector<std::string>;

Captures captures_of(std::string_view pattern, std::string_view name) {
  Captures captures;
  EXPECT_TRUE(match_name(pattern, name, captures)) << pattern << " " << name;
  return captures;
}

bool matches(std::string_view pattern, std::string_view name) {
  Captures captures;
  return match_name(pattern, name, captures);
}

Weights named(const std::vector<std::string>& names) {
  Weights weights;
  for (const std::string& name : names) weights[name] = Tensor::scalar(static_cast<float>(weights.size()));
  return weights;
}

TEST(RenameMatch, StarStaysWithinOnePartOfTheName) {
  EXPECT_EQ(captures_of("blocks.*.bn.weight", "blocks.12.bn.weight"), Captures({"12"}));
  EXPECT_FALSE(matches("blocks.*.weight", "blocks.12.bn.weight"));
  EXPECT_EQ(captures_of("stage*.*.w", "stage2.0.w"), Captures({"2", "0"}));
}

TEST(RenameMatch, DoubleStarCrossesDots) {
  EXPECT_EQ(captures_of("**", "a.b.c"), Captures({"a.b.c"}));
  EXPECT_EQ(captures_of("**.bn.*", "a.b.bn.weight"), Captures({"a.b", "weight"}));
  EXPECT_EQ(captures_of("Student.**", "Student.fc.bias"), Captures({"fc.bias"}));
}

TEST(RenameMatch, WildcardsStandForAtLeastOneCharacter) {
  EXPECT_FALSE(matches("stage*.w", "stage.w"));
  EXPECT_FALSE(matches("a.**", "a."));
  EXPECT_FALSE(matches("*", ""));
}

TEST(RenameMatch, WildcardsTakeAsLittleAsLetsTheRestMatch) {
  EXPECT_EQ(captures_of("*_*", "a_b_c"), Captures({"a", "b_c"}));
  EXPECT_EQ(captures_of("**.w", "w.w.w"), Captures({"w.w"}));
}

TEST(RenameMatch, TheWholeNameMustMatch) {
  EXPECT_TRUE(matches("fc.weight", "fc.weight"));
  EXPECT_FALSE(matches("fc.weight", "fc.weight2"));
  EXPECT_FALSE(matches("fc.weight", "a.fc.weight"));
  EXPECT_FALSE(matches("", "a"));
}

TEST(Rename, FillsTheCapturesIn) {
  const RenameRule rules[] = {{"stages.*.*.bn.**", "s{1}.b{2}.{3}.{2}"}};
  const Weights renamed = rename(named({"stages.3.1.bn.running_mean"}), rules);
  ASSERT_EQ(renamed.size(), 1u);
  EXPECT_EQ(renamed.begin()->first, "s3.b1.running_mean.1");
}

TEST(Rename, FirstMatchingRuleWins) {
  const RenameRule rules[] = {{"fc.*", "head.{1}"}, {"**", "body.{1}"}};
  const Weights renamed = rename(named({"fc.weight", "conv.weight"}), rules);
  EXPECT_TRUE(renamed.contains("head.weight"));
  EXPECT_TRUE(renamed.contains("body.conv.weight"));
}

TEST(Rename, ReportsWhatNoRuleMatches) {
  const RenameRule rules[] = {{"a", "b"}};
  std::vector<std::string> unmatched;
  const Weights renamed = rename(named({"a", "x", "y"}), rules, &unmatched);
  EXPECT_EQ(renamed.size(), 1u);
  EXPECT_EQ(unmatched, std::vector<std::string>({"x", "y"}));
}

TEST(Rename, EmptyTargetDropsTheTensor) {
  const RenameRule rules[] = {{"**.num_batches_tracked", ""}, {"**", "{1}"}};
  std::vector<std::string> unmatched;
  const Weights renamed = rename(named({"bn.num_batches_tracked", "bn.weight"}), rules, &unmatched);
  EXPECT_EQ(renamed.size(), 1u);
  EXPECT_TRUE(renamed.contains("bn.weight"));
  EXPECT_TRUE(unmatched.empty());
}

TEST(Rename, RefusesTwoTensorsOfOneName) {
  const RenameRule rules[] = {{"*.w", "w"}};
  EXPECT_THROW(rename(named({"a.w", "b.w"}), rules), Error);
}

TEST(Rename, TransposesAndScales) {
  Weights weights;
  weights["fc.weight"] = Tensor::from({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  weights["conv.weight"] = Tensor::from({2}, std::vector<float>{1, -2});
  const RenameRule rules[] = {{"fc.weight", "fc.weight", RenameTransform::kTranspose2d},
                              {"conv.weight", "conv.weight", RenameTransform::kScale, 0.5f}};
  const Weights renamed = rename(weights, rules);
  EXPECT_EQ(relative_difference(renamed.at("fc.weight"),
                                Tensor::from({3, 2}, std::vector<float>{1, 4, 2, 5, 3, 6})),
            0);
  EXPECT_EQ(relative_difference(renamed.at("conv.weight"), Tensor::from({2}, std::vector<float>{0.5f, -1})),
            0);
  EXPECT_EQ(weights.at("conv.weight").values()[0], 1) << "the source must stay as it was";
}

TEST(Rename, RefusesToTransposeOtherShapes) {
  Weights weights;
  weights["fc.bias"] = Tensor::from({2}, std::vector<float>{1, 2});
  const RenameRule rules[] = {{"fc.*", "{1}", RenameTransform::kTranspose2d}};
  EXPECT_THROW(rename(weights, rules), Error);
}

}  // namespace
}  // namespace marrow::weights
