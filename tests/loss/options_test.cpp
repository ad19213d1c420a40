#include "marrow/loss/options.h"

#include <gtest/gtest.h>

#include <vector>

#include "marrow/base/error.h"
#include "marrow/loss/detection_head.h"

namespace marrow::loss {
namespace {

// cls_pw, by hand: (1/4)^0.5, (1/1)^0.5 and a class that is absent.
TEST(ClassWeights, RareClassesCountMore) {
  EXPECT_TRUE(class_weights(std::vector<int64_t>{4, 1}, 0).empty());
  EXPECT_TRUE(class_weights(std::vector<int64_t>{0, 0}, 1).empty());
  const std::vector<double> weights = class_weights(std::vector<int64_t>{4, 1, 0}, 0.5);
  ASSERT_EQ(weights.size(), 3u);
  EXPECT_DOUBLE_EQ(weights[0], 0.5 / 0.75);
  EXPECT_DOUBLE_EQ(weights[1], 1 / 0.75);
  EXPECT_DOUBLE_EQ(weights[2], 1);
}

TEST(OneToManyShare, FallsFromTheFirstEpochToTheLast) {
  EXPECT_DOUBLE_EQ(one_to_many_share(0, 5), 0.8);
  EXPECT_DOUBLE_EQ(one_to_many_share(2, 5), 0.45);
  EXPECT_DOUBLE_EQ(one_to_many_share(4, 5), 0.1);
  EXPECT_DOUBLE_EQ(one_to_many_share(0, 1), 0.8);
}

TEST(AssignerOf, OnlyTheRulesOf84GrowSmallObjects) {
  const std::vector<int> strides = {8, 16, 32}, one = {32};
  EXPECT_EQ(assigner_of({.rules = Rules::k83}, strides).smallest_side, 0);
  EXPECT_EQ(assigner_of({.rules = Rules::k84}, strides).smallest_side, 16);
  EXPECT_EQ(assigner_of({.rules = Rules::k84}, one).smallest_side, 32);
}

TEST(DetectionHead, AGraphWithoutOneIsAnError) {
  EXPECT_THROW(detection_head(Graph{}), Error);
  EXPECT_THROW(detection_maps(Graph{}), Error);
}

}  // namespace
}  // namespace marrow::loss
