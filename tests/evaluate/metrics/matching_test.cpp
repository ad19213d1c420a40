#include "marrow/evaluate/metrics/matching.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace marrow::evaluate {
namespace {

std::vector<std::string> matched(const std::vector<TruthBox>& truth,
                                 const std::vector<detect::InputDetection>& detections,
                                 Rules rules = Rules::k83) {
  std::vector<std::string> bits;
  for (const MatchedDetection& one : match_detections(truth, detections, rules)) {
    std::string text;
    for (size_t t = 0; t < kIouThresholds; ++t) text += one.true_positive[t] ? '1' : '0';
    bits.push_back(text);
  }
  return bits;
}

using Bits = std::vector<std::string>;

TEST(Matching, ThresholdsAreTheFloatsNearestToTheDecimals) {
  const auto& thresholds = float_iou_thresholds();
  const float decimals[] = {0.5f, 0.55f, 0.6f, 0.65f, 0.7f, 0.75f, 0.8f, 0.85f, 0.9f, 0.95f};
  EXPECT_TRUE(std::equal(thresholds.begin(), thresholds.end(), decimals));
}

TEST(Matching, IouOfHandMadeBoxes) {
  EXPECT_FLOAT_EQ(box_iou({0, 0, 10, 10}, {5, 0, 15, 10}), 1.0f / 3.0f);
  EXPECT_FLOAT_EQ(box_iou({0, 0, 10, 10}, {0, 0, 10, 10}), 1.0f);
  EXPECT_EQ(box_iou({0, 0, 10, 10}, {10, 0, 20, 10}), 0.0f);
  EXPECT_EQ(box_iou({3, 3, 3, 3}, {3, 3, 3, 3}), 0.0f);
}

TEST(Matching, ADetectionIsRightUpToItsOverlap) {
  // 64 / 100, 100 / 100.
  EXPECT_EQ(matched({{{0, 0, 10, 10}, 1}}, {{{0, 0, 8, 8}, 0.9f, 1}}), (Bits{"1110000000"}));
  EXPECT_EQ(matched({{{0, 0, 10, 10}, 1}}, {{{0, 0, 10, 10}, 0.9f, 1}}), (Bits{"1111111111"}));
}

TEST(Matching, ClassesDoNotMix) {
  EXPECT_EQ(matched({{{0, 0, 10, 10}, 1}}, {{{0, 0, 10, 10}, 0.9f, 0}}), (Bits{"0000000000"}));
}

// The better box comes too late where the first one reaches the threshold, and in time above it.
TEST(Matching, ATruthBoxGoesToTheFirstDetectionThatReachesTheThreshold) {
  EXPECT_EQ(matched({{{0, 0, 10, 10}, 0}}, {{{0, 0, 8, 8}, 0.9f, 0}, {{0, 0, 10, 10}, 0.8f, 0}}),
            (Bits{"1110000000", "0001111111"}));
}

// Both detections lie best on the first truth box; the second one overlaps the other box by more than half,
// but that is not its best.
TEST(Matching, ADetectionWantsOnlyItsBestTruthBox) {
  const std::vector<TruthBox> truth = {{{0, 0, 10, 10}, 0}, {{0, 3, 10, 13}, 0}};
  EXPECT_EQ(matched(truth, {{{0, 0, 10, 10}, 0.9f, 0}, {{0, 1, 10, 11}, 0.8f, 0}}),
            (Bits{"1111111111", "0000000000"}));
}

TEST(Matching, TiesBetweenTruthBoxesGiveOneHit) {
  const std::vector<TruthBox> twins = {{{0, 0, 10, 10}, 0}, {{0, 0, 10, 10}, 0}};
  EXPECT_EQ(matched(twins, {{{0, 0, 10, 10}, 0.9f, 0}, {{0, 0, 10, 10}, 0.9f, 0}}),
            (Bits{"1111111111", "0000000000"}));
  // Between two boxes that it overlaps alike, a detection takes the last.
  const std::vector<TruthBox> sides = {{{0, 0, 10, 10}, 0}, {{2, 0, 12, 10}, 0}};
  EXPECT_EQ(matched(sides, {{{1, 0, 11, 10}, 0.9f, 0}, {{0, 0, 10, 10}, 0.8f, 0}, {{2, 0, 12, 10}, 0.7f, 0}}),
            (Bits{"1111111000", "1111111111", "0000000111"}));
}

// With 8.4's rules the second detection takes the box that is left, where it overlaps that one enough: 80 of
// 120 square pixels; and of two that it overlaps alike the first.
TEST(Matching, ADetectionTakesWhatIsLeft) {
  const std::vector<TruthBox> truth = {{{0, 0, 10, 10}, 0}, {{0, 3, 10, 13}, 0}};
  EXPECT_EQ(matched(truth, {{{0, 0, 10, 10}, 0.9f, 0}, {{0, 1, 10, 11}, 0.8f, 0}}, Rules::k84),
            (Bits{"1111111111", "1111000000"}));
  const std::vector<TruthBox> sides = {{{0, 0, 10, 10}, 0}, {{2, 0, 12, 10}, 0}};
  EXPECT_EQ(matched(sides, {{{1, 0, 11, 10}, 0.9f, 0}, {{2, 0, 12, 10}, 0.8f, 0}, {{0, 0, 10, 10}, 0.7f, 0}},
                    Rules::k84),
            (Bits{"1111111000", "1111111111", "0000000111"}));
  EXPECT_EQ(matched({{{0, 0, 10, 10}, 1}}, {{{0, 0, 10, 10}, 0.9f, 0}}, Rules::k84), (Bits{"0000000000"}));
}

TEST(Matching, NothingToMatch) {
  EXPECT_TRUE(matched({}, {}).empty());
  EXPECT_TRUE(matched({{{0, 0, 10, 10}, 0}}, {}).empty());
  EXPECT_EQ(matched({}, {{{0, 0, 10, 10}, 0.9f, 0}}), (Bits{"0000000000"}));
}

TEST(Matching, BoxesThatAreNotNumbersMatchNothing) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(matched({{{0, 0, 10, 10}, 0}}, {{{nan, 0, 10, 10}, 0.9f, 0}, {{-inf, -inf, inf, inf}, 0.9f, 0}}),
            (Bits{"0000000000", "0000000000"}));
}

}  // namespace
}  // namespace marrow::evaluate
