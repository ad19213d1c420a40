#include "marrow/evaluate/metrics/average_precision.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

namespace marrow::evaluate {
namespace {

MatchedDetection hit(float confidence, int class_id = 0) {
  return {confidence, class_id, ThresholdBits().set()};
}
MatchedDetection miss(float confidence, int class_id = 0) {
  return {confidence, class_id, {}};
}

AveragePrecision measure(std::vector<MatchedDetection> detections, std::vector<int64_t> instances) {
  return average_precision(detections, instances);
}

void expect_nothing_found(const AveragePrecision& result) {
  EXPECT_EQ(result.map50(), 0.0);
  EXPECT_EQ(result.map50_95(), 0.0);
  EXPECT_EQ(result.precision(), 0.0);
  EXPECT_EQ(result.recall(), 0.0);
  EXPECT_EQ(result.best_f1_index, 0u);
}

// The definition's own ceiling: the last of the 100 trapezoids falls from 1 to 0.
TEST(AveragePrecision, EverythingFoundIs0995) {
  const AveragePrecision result = measure({hit(0.9f), hit(0.8f)}, {2});
  EXPECT_NEAR(result.map50(), 0.995, 1e-12);
  EXPECT_NEAR(result.map50_95(), 0.995, 1e-12);
  EXPECT_NEAR(result.fitness(), 0.995, 1e-12);
  EXPECT_EQ(result.precision(), 1.0);
  EXPECT_EQ(result.recall(), 1.0);
}

// Recall 0.5 at precision 1, then a miss, then recall 1 at 2/3: the envelope is 1 up to 0.5, and falls to 2/3
// on the way to the last point, which is 0.
TEST(AveragePrecision, HandCase) {
  const AveragePrecision result = measure({hit(0.9f), miss(0.8f), hit(0.7f)}, {2});
  double area = 0.0;
  const auto envelope = [](double recall) {
    // At recall 0.5 the last detection that has it counts, whose envelope is 2/3.
    return recall < 0.5 ? 1.0 : recall < 1.0 ? 2.0 / 3.0 : 0.0;
  };
  for (int i = 0; i < 100; ++i) area += (envelope(i / 100.0) + envelope((i + 1) / 100.0)) / 200.0;
  EXPECT_NEAR(result.map50(), area, 1e-12);
}

TEST(AveragePrecision, IsAskedForByName) {
  const AveragePrecision result = measure({hit(0.9f), miss(0.8f), hit(0.7f)}, {4});
  EXPECT_EQ(metric_named(result, "mAP50"), result.map50());
  EXPECT_EQ(metric_named(result, "precision"), result.precision());
  EXPECT_EQ(metric_named(result, "recall"), result.recall());
  EXPECT_EQ(metric_named(result, "fitness"), result.map50_95());
  EXPECT_EQ(metric_named(result, "mAP50-95"), result.map50_95());
  EXPECT_EQ((std::set{result.map50(), result.precision(), result.recall()}).size(), 3u);
}

// One of two found. 8.4's curve ends there: 49 of the 100 trapezoids are whole, and one falls to 0. 8.3's
// goes on along a line to (1, 0).
TEST(AveragePrecision, NothingCountsBehindTheLastRecall) {
  const std::vector<MatchedDetection> found = {hit(0.9f)};
  const std::vector<int64_t> instances = {2};
  EXPECT_NEAR(average_precision(found, instances, Rules::k84).map50(), 0.495, 1e-12);
  EXPECT_NEAR(average_precision(found, instances, Rules::k83).map50(), 0.75, 1e-12);
}

TEST(AveragePrecision, ThresholdsAreIndependent) {
  MatchedDetection loose{0.9f, 0, ThresholdBits(0b1)};
  const AveragePrecision result = measure({loose}, {1});
  EXPECT_NEAR(result.map50(), 0.995, 1e-12);
  EXPECT_EQ(result.map75(), 0.0);
  EXPECT_NEAR(result.map50_95(), 0.0995, 1e-12);
}

TEST(AveragePrecision, NoDetectionsCountAsZero) {
  const AveragePrecision result = measure({}, {3, 2});
  ASSERT_EQ(result.classes.size(), 2u);
  EXPECT_EQ(result.classes[1].instances, 2);
  expect_nothing_found(result);
}

TEST(AveragePrecision, NoGroundTruthLeavesNoClass) {
  const AveragePrecision result = measure({miss(0.9f)}, {0});
  EXPECT_TRUE(result.classes.empty());
  EXPECT_TRUE(result.curves.precision.empty());
  expect_nothing_found(result);
  expect_nothing_found(measure({}, {}));
}

// Class 1 is absent: its false alarms cost nothing. Class 2 is present and missed: it halves the mean.
TEST(AveragePrecision, MeansAreOverClassesWithGroundTruth) {
  const AveragePrecision result = measure({hit(0.9f, 0), miss(0.95f, 1), miss(0.9f, 7)}, {1, 0, 1});
  ASSERT_EQ(result.classes.size(), 2u);
  EXPECT_EQ(result.classes[0].class_id, 0);
  EXPECT_EQ(result.classes[1].class_id, 2);
  EXPECT_NEAR(result.map50(), 0.995 / 2, 1e-12);
  EXPECT_EQ(result.curves.f1.size(), 2u);
}

TEST(AveragePrecision, EqualConfidencesKeepTheirOrder) {
  EXPECT_GT(measure({hit(0.5f), miss(0.5f)}, {1}).map50(), measure({miss(0.5f), hit(0.5f)}, {1}).map50());
}

TEST(AveragePrecision, OrderOfImagesDoesNotMatter) {
  const std::vector<MatchedDetection> detections = {hit(0.3f), miss(0.8f), hit(0.9f), miss(0.1f), hit(0.2f)};
  std::vector<MatchedDetection> reversed(detections.rbegin(), detections.rend());
  EXPECT_EQ(measure(detections, {4}).map50(), measure(reversed, {4}).map50());
}

TEST(AveragePrecision, ConfidenceThatIsNotANumberIsLeftOut) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const AveragePrecision with = measure({hit(nan), hit(0.9f), miss(nan), miss(0.5f), hit(0.4f)}, {3});
  const AveragePrecision without = measure({hit(0.9f), miss(0.5f), hit(0.4f)}, {3});
  EXPECT_EQ(with.map50(), without.map50());
  EXPECT_EQ(with.curves.precision, without.curves.precision);
}

TEST(AveragePrecision, CurvesAreReadAtTheConfidence) {
  const AveragePrecision result = measure({hit(0.75f), miss(0.25f)}, {2});
  const auto& x = result.curves.x;
  ASSERT_EQ(x.size(), kCurvePoints);
  EXPECT_EQ(x.front(), 0.0);
  EXPECT_EQ(x.back(), 1.0);
  const auto at = [&](const std::vector<double>& row, double confidence) {
    return row[static_cast<size_t>(std::ranges::lower_bound(x, confidence) - x.begin())];
  };
  // Above the highest confidence nothing is found, and nothing is wrong.
  EXPECT_EQ(at(result.curves.recall[0], 0.8), 0.0);
  EXPECT_EQ(at(result.curves.precision[0], 0.8), 1.0);
  // Half way between the two: half way between precision 1 and 1/2.
  EXPECT_NEAR(at(result.curves.precision[0], 0.5), 0.75, 2e-3);
  EXPECT_EQ(at(result.curves.recall[0], 0.1), 0.5);
  EXPECT_EQ(at(result.curves.precision[0], 0.1), 0.5);
  EXPECT_EQ(at(result.curves.precision_by_recall[0], 0.4), 1.0);
}

TEST(AveragePrecision, MeanCurveIsOverClasses) {
  const AveragePrecision result = measure({hit(0.9f, 0)}, {1, 1});
  const std::vector<double> mean = mean_curve(result.curves.recall);
  ASSERT_EQ(mean.size(), kCurvePoints);
  EXPECT_EQ(mean[100], 0.5);  // one class is found, the other not
  EXPECT_EQ(mean_curve({}), std::vector<double>(kCurvePoints));
}

TEST(AveragePrecision, BestF1IsThatOfTheSmoothedMean) {
  // F1 is 1 between 0.3 and 0.7, where the hits are, and lower outside: the middle of the plateau's smoothed
  // copy begins 50 points after its start.
  std::vector<MatchedDetection> detections = {hit(0.7f), hit(0.7f), miss(0.3f), miss(0.29f), miss(0.28f)};
  const AveragePrecision result = measure(detections, {2});
  EXPECT_GT(result.best_confidence(), 0.55);
  EXPECT_LT(result.best_confidence(), 0.7);
}

// Class 0 is right above 0.6 and wrong below, class 2 right down to 0.2; class 1 has no truth.
TEST(AveragePrecision, EachClassHasAThresholdOfItsOwn) {
  std::vector<MatchedDetection> found;
  for (int i = 0; i < 40; ++i) {
    found.push_back(hit(0.6f + 0.01f * static_cast<float>(i), 0));
    found.push_back(miss(0.1f + 0.01f * static_cast<float>(i), 0));
    found.push_back(hit(0.2f + 0.01f * static_cast<float>(i), 2));
  }
  const AveragePrecision result = measure(found, {40, 0, 40});
  const std::vector<float> thresholds = best_thresholds(result, 3);
  ASSERT_EQ(thresholds.size(), 3u);
  EXPECT_NEAR(thresholds[0], 0.55, 0.06);
  EXPECT_NEAR(thresholds[1], result.best_confidence(), 1e-6);
  EXPECT_LT(thresholds[2], 0.21);
}

}  // namespace
}  // namespace marrow::evaluate
