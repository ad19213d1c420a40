#include "marrow/evaluate/metrics/confusion_matrix.h"

#include <gtest/gtest.h>

#include <limits>

namespace marrow::evaluate {
namespace {

constexpr int kBackground = 2;

ConfusionMatrix matrix_of(const std::vector<TruthBox>& truth,
                          const std::vector<detect::InputDetection>& detections, float confidence = 0.25f,
                          Rules rules = Rules::k83) {
  ConfusionMatrix matrix(3);
  add_detections(matrix, truth, detections, confidence, rules);
  return matrix;
}

int64_t sum(const ConfusionMatrix& matrix) {
  int64_t total = 0;
  for (int i = 0; i < matrix.size(); ++i) {
    for (int k = 0; k < matrix.size(); ++k) total += matrix.at(i, k);
  }
  return total;
}

TEST(ConfusionMatrix, ClassesMeetWhereBoxesDo) {
  const auto matrix = matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 10}, 0.9f, 1}});
  EXPECT_EQ(matrix.at(1, 0), 1);
  EXPECT_EQ(sum(matrix), 1);
}

TEST(ConfusionMatrix, WithoutGroundTruthAllIsFalseAlarm) {
  const auto matrix = matrix_of({}, {{{0, 0, 9, 9}, 0.9f, 1}, {{0, 0, 9, 9}, 0.25f, 1}});
  EXPECT_EQ(matrix.at(1, kBackground), 1);
  EXPECT_EQ(sum(matrix), 1);
}

TEST(ConfusionMatrix, WithoutDetectionsAllIsMissed) {
  const auto matrix = matrix_of({{{0, 0, 9, 9}, 0}, {{0, 0, 9, 9}, 1}}, {});
  EXPECT_EQ(matrix.at(kBackground, 0), 1);
  EXPECT_EQ(matrix.at(kBackground, 1), 1);
  EXPECT_EQ(sum(matrix), 2);
}

TEST(ConfusionMatrix, AnEmptyImageAddsNothing) {
  EXPECT_EQ(matrix_of({}, {}), ConfusionMatrix(3));
}

// Unlike in average precision, the better overlap wins over the higher confidence.
TEST(ConfusionMatrix, TheBestOverlapWins) {
  const auto matrix = matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 8}, 0.9f, 1}, {{0, 0, 10, 9}, 0.8f, 0}});
  EXPECT_EQ(matrix.at(0, 0), 1);
  EXPECT_EQ(matrix.at(1, kBackground), 1);
  EXPECT_EQ(sum(matrix), 2);
}

// With 8.4's rules the higher confidence does, whatever the order; and a detection takes what is left.
TEST(ConfusionMatrix, TheHigherConfidenceWins) {
  const auto matrix = matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 9}, 0.8f, 0}, {{0, 0, 10, 8}, 0.9f, 1}},
                                0.25f, Rules::k84);
  EXPECT_EQ(matrix.at(1, 0), 1);
  EXPECT_EQ(matrix.at(0, kBackground), 1);
  const auto left = matrix_of({{{0, 0, 10, 10}, 0}, {{0, 2, 10, 12}, 1}},
                              {{{0, 0, 10, 10}, 0.9f, 0}, {{0, 0, 10, 11}, 0.8f, 1}}, 0.25f, Rules::k84);
  EXPECT_EQ(left.at(0, 0), 1);
  EXPECT_EQ(left.at(1, 1), 1);
}

// One box under two labels, as NMS with several labels a box gives it.
TEST(ConfusionMatrix, OfEqualOverlapsTheLastWins) {
  const auto matrix = matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 9}, 0.9f, 0}, {{0, 0, 10, 9}, 0.8f, 1}});
  EXPECT_EQ(matrix.at(1, 0), 1);
  EXPECT_EQ(matrix.at(0, kBackground), 1);
}

// 45 of 100 square pixels is not enough, a little more is.
TEST(ConfusionMatrix, TheOverlapIsStrictlyAboveTheThreshold) {
  EXPECT_EQ(matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 4.5f}, 0.9f, 0}}).at(0, 0), 0);
  EXPECT_EQ(matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 4.6f}, 0.9f, 0}}).at(0, 0), 1);
}

TEST(ConfusionMatrix, ConfidenceThatIsNotANumberIsLeftOut) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto matrix = matrix_of({{{0, 0, 10, 10}, 0}}, {{{0, 0, 10, 10}, nan, 0}});
  EXPECT_EQ(matrix.at(kBackground, 0), 1);
  EXPECT_EQ(sum(matrix), 1);
}

TEST(ConfusionMatrix, NormalisedColumnsSumToOne) {
  ConfusionMatrix matrix(2);
  matrix.add(0, 0, 3);
  matrix.add(1, 0);
  const std::vector<double> shares = matrix.normalised();
  EXPECT_NEAR(shares[0], 0.75, 1e-8);
  EXPECT_NEAR(shares[2], 0.25, 1e-8);
  EXPECT_EQ(shares[1], 0.0);
}

TEST(ConfusionMatrix, OnlyValidationsDefaultConfidenceIsReplaced) {
  EXPECT_EQ(confusion_confidence(0.001f, false), 0.25f);
  EXPECT_EQ(confusion_confidence(0.002f, false), 0.002f);
  EXPECT_EQ(confusion_confidence(0.5f, false), 0.5f);
  EXPECT_EQ(confusion_confidence(0.01f, true), 0.25f);
  EXPECT_EQ(confusion_confidence(0.001f, true), 0.001f);
}

}  // namespace
}  // namespace marrow::evaluate
