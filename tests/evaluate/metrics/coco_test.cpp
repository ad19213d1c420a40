#include "marrow/evaluate/metrics/coco.h"

#include <gtest/gtest.h>

#include <limits>

namespace marrow::evaluate {
namespace {

CocoAnnotation box(int64_t image, double x, double y, double width, double height, bool crowd = false) {
  return {image, 1, {x, y, width, height}, width * height, crowd};
}

CocoGroundTruth truth_of(std::vector<CocoAnnotation> annotations) {
  return {{1, 2}, {1, 2}, std::move(annotations)};
}

CocoDetection found(int64_t image, double x, double y, double width, double height, double score) {
  return {image, 1, {x, y, width, height}, score};
}

CocoReport evaluate(std::vector<CocoAnnotation> annotations, std::vector<CocoDetection> detections) {
  return evaluate_coco(truth_of(std::move(annotations)), detections);
}

TEST(Coco, EverythingFoundIsOne) {
  const CocoReport report = evaluate({box(1, 0, 0, 50, 50)}, {found(1, 0, 0, 50, 50, 0.9)});
  const std::array<double, 12> wanted = {1, 1, 1, -1, 1, -1, 1, 1, 1, -1, 1, -1};
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(report.numbers[i], wanted[i], 1e-12) << i;
  ASSERT_EQ(report.categories.size(), 2u);
  EXPECT_NEAR(report.categories[0].ap50.value(), 1.0, 1e-12);
  EXPECT_FALSE(report.categories[1].ap50_95);
}

TEST(Coco, NothingToFindIsMinusOne) {
  for (const double number : evaluate({}, {found(1, 0, 0, 50, 50, 0.9)}).numbers) EXPECT_EQ(number, -1.0);
  for (const double number : evaluate({}, {}).numbers) EXPECT_EQ(number, -1.0);
}

TEST(Coco, NothingFoundIsZero) {
  const CocoReport report = evaluate({box(1, 0, 0, 50, 50)}, {});
  EXPECT_EQ(report.ap50_95(), 0.0);
  EXPECT_EQ(report.numbers[8], 0.0);
}

// Half of the boxes at precision 1: 51 of 101 recalls.
TEST(Coco, IsAMeanOver101Recalls) {
  const CocoReport report =
      evaluate({box(1, 0, 0, 50, 50), box(2, 0, 0, 50, 50)}, {found(1, 0, 0, 50, 50, 0.9)});
  EXPECT_NEAR(report.ap50(), 51.0 / 101.0, 1e-12);
  EXPECT_NEAR(report.numbers[6], 0.5, 1e-12);
}

TEST(Coco, DetectionsInACrowdAreNeitherRightNorWrong) {
  const std::vector<CocoAnnotation> annotations = {box(1, 0, 0, 50, 50), box(1, 100, 0, 200, 200, true)};
  const std::vector<CocoDetection> detections = {
      found(1, 100, 0, 50, 50, 0.95), found(1, 200, 50, 50, 50, 0.94), found(1, 0, 0, 50, 50, 0.9)};
  EXPECT_NEAR(evaluate(annotations, detections).ap50_95(), 1.0, 1e-12);
  // Without the crowd both are wrong.
  EXPECT_NEAR(evaluate({annotations[0]}, detections).ap50_95(), 1.0 / 3.0, 1e-12);
}

TEST(Coco, ABoxOfItsOwnGoesBeforeTheCrowd) {
  const CocoReport report =
      evaluate({box(1, 0, 0, 200, 200, true), box(1, 0, 0, 50, 40)}, {found(1, 0, 0, 50, 50, 0.9)});
  EXPECT_NEAR(report.ap50(), 1.0, 1e-12);
}

TEST(Coco, AreaRangesFollowTheAnnotation) {
  CocoAnnotation annotation = box(1, 0, 0, 50, 50);
  annotation.area = 1000;  // of the object: small, though its box is of medium size
  const CocoReport report = evaluate({annotation}, {found(1, 0, 0, 50, 50, 0.9)});
  EXPECT_NEAR(report.numbers[3], 1.0, 1e-12);
  EXPECT_EQ(report.numbers[4], -1.0);
  EXPECT_EQ(report.numbers[5], -1.0);
}

// 32 x 32 is both small and medium.
TEST(Coco, AreaRangesIncludeTheirEnds) {
  const CocoReport report = evaluate({box(1, 0, 0, 32, 32)}, {found(1, 0, 0, 32, 32, 0.9)});
  EXPECT_NEAR(report.numbers[3], 1.0, 1e-12);
  EXPECT_NEAR(report.numbers[4], 1.0, 1e-12);
}

TEST(Coco, FalseAlarmsOfAnotherSizeDoNotCount) {
  const CocoReport report =
      evaluate({box(1, 0, 0, 20, 20)}, {found(1, 100, 100, 200, 200, 0.95), found(1, 0, 0, 20, 20, 0.9)});
  EXPECT_NEAR(report.numbers[3], 1.0, 1e-12);
  EXPECT_NEAR(report.ap50_95(), 0.5, 1e-12);
}

TEST(Coco, OnlyTheBestHundredOfAImageCount) {
  std::vector<CocoDetection> detections;
  for (int i = 0; i < 100; ++i) detections.push_back(found(1, 100, 100, 10, 10, 0.9));
  detections.push_back(found(1, 0, 0, 50, 50, 0.1));
  EXPECT_EQ(evaluate({box(1, 0, 0, 50, 50)}, detections).ap50(), 0.0);
  detections.erase(detections.begin());
  EXPECT_NEAR(evaluate({box(1, 0, 0, 50, 50)}, detections).ap50(), 0.01, 1e-12);
}

TEST(Coco, RecallGrowsWithTheDetectionsAllowed) {
  const CocoReport report = evaluate({box(1, 0, 0, 50, 50), box(1, 100, 0, 50, 50)},
                                     {found(1, 0, 0, 50, 50, 0.9), found(1, 100, 0, 50, 50, 0.8)});
  EXPECT_NEAR(report.numbers[6], 0.5, 1e-12);
  EXPECT_NEAR(report.numbers[7], 1.0, 1e-12);
}

TEST(Coco, EqualScoresKeepTheirOrder) {
  const std::vector<CocoAnnotation> annotations = {box(1, 0, 0, 50, 50)};
  const CocoDetection right = found(1, 0, 0, 50, 50, 0.5), wrong = found(1, 200, 0, 50, 50, 0.5);
  EXPECT_NEAR(evaluate(annotations, {right, wrong}).ap50(), 1.0, 1e-12);
  EXPECT_NEAR(evaluate(annotations, {wrong, right}).ap50(), 0.5, 1e-12);
  // Between images, the lower id comes first.
  EXPECT_NEAR(evaluate(annotations, {found(2, 0, 0, 9, 9, 0.5), right}).ap50(), 1.0, 1e-12);
}

TEST(Coco, WhatTheGroundTruthDoesNotListIsLeftOut) {
  CocoDetection stranger = found(1, 0, 0, 50, 50, 0.99);
  stranger.category_id = 77;
  const CocoDetection elsewhere = found(99, 0, 0, 50, 50, 0.99);
  const CocoDetection no_score = found(1, 9, 9, 50, 50, std::numeric_limits<double>::quiet_NaN());
  const CocoReport report =
      evaluate({box(1, 0, 0, 50, 50)}, {stranger, elsewhere, no_score, found(1, 0, 0, 50, 50, 0.5)});
  EXPECT_NEAR(report.ap50_95(), 1.0, 1e-12);
}

TEST(Coco, TextHasALineForEachOfTheTwelve) {
  const std::string text = coco_text(evaluate({box(1, 0, 0, 50, 50)}, {found(1, 0, 0, 50, 50, 0.9)}));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 12);
  EXPECT_NE(text.find(" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000\n"),
            std::string::npos);
  EXPECT_NE(text.find(" Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000\n"),
            std::string::npos);
}

}  // namespace
}  // namespace marrow::evaluate
