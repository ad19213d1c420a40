#include "marrow/detect/nms.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <random>

namespace marrow::detect {
namespace {

TEST(Nms, EveryClassMayHaveAThresholdOfItsOwn) {
  // Three far boxes, best classes 0, 1, 1.
  const std::vector<float> prediction = {10,   100,  200,  10,   100,   200,
                                         5,    5,    5,    5,    5,     5,  // cx, cy, w, h
                                         0.5f, 0.1f, 0.3f, 0.2f, 0.45f, 0.6f};
  NmsOptions options;
  options.class_confidence = {0.4f, 0.5f};
  EXPECT_EQ(least_confidence(options), 0.4f);
  for (const bool suppress : {true, false}) {
    options.suppress = suppress;
    const auto found = find_detections(prediction.data(), 2, 3, options);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].class_id, 1);
    EXPECT_EQ(found[0].confidence, 0.6f);
    EXPECT_EQ(found[1].class_id, 0);
    EXPECT_EQ(found[1].confidence, 0.5f);
  }
}

// Columns of (cx, cy, w, h, scores...) as a head writes them.
struct Prediction {
  int classes;
  std::vector<std::vector<float>> anchors;

  std::vector<InputDetection> run(const NmsOptions& options = {}) const {
    std::vector<float> planar;
    for (int row = 0; row < 4 + classes; ++row) {
      for (const auto& anchor : anchors) planar.push_back(anchor.at(static_cast<size_t>(row)));
    }
    return non_max_suppression(planar.data(), classes, static_cast<int64_t>(anchors.size()), options);
  }
};

std::vector<int64_t> anchors_of(const std::vector<InputDetection>& detections) {
  std::vector<int64_t> anchors;
  for (const InputDetection& detection : detections) anchors.push_back(detection.anchor);
  return anchors;
}

TEST(Nms, KeepsTheBestOfOverlappingBoxes) {
  Prediction two{1, {{50, 50, 20, 20, 0.6f}, {51, 50, 20, 20, 0.9f}, {90, 50, 20, 20, 0.3f}}};
  auto found = two.run();
  EXPECT_EQ(anchors_of(found), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(found[0].box, (Box<InputPixels>{41, 40, 61, 60}));
  EXPECT_EQ(found[0].confidence, 0.9f);
}

TEST(Nms, ThresholdsAreStrict) {
  // Two boxes with an IoU of exactly one half.
  Prediction halves{1, {{5, 5, 10, 10, 0.5f}, {5, 2.5f, 10, 5, 0.25f}}};
  EXPECT_EQ(halves.run({.confidence = 0.25f, .iou = 0.3f}).size(), 1u);
  EXPECT_EQ(halves.run({.confidence = 0.2f, .iou = 0.5f}).size(), 2u);
  EXPECT_EQ(halves.run({.confidence = 0.2f, .iou = 0.49f}).size(), 1u);
}

TEST(Nms, ClassesSuppressEachOtherOnlyWhenAgnostic) {
  Prediction same_place{2, {{50, 50, 20, 20, 0.8f, 0.1f}, {50, 50, 20, 20, 0.1f, 0.7f}}};
  EXPECT_EQ(same_place.run().size(), 2u);
  EXPECT_EQ(same_place.run({.agnostic = true}).size(), 1u);
}

TEST(Nms, MultiLabelGivesEveryClassAboveTheThreshold) {
  Prediction one{3, {{50, 50, 20, 20, 0.5f, 0.1f, 0.9f}}};
  EXPECT_EQ(one.run().size(), 1u);
  auto both = one.run({.multi_label = true});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].class_id, 2);
  EXPECT_EQ(both[1].class_id, 0);
}

TEST(Nms, ClassFilterComesAfterTheBestClassIsChosen) {
  Prediction one{2, {{50, 50, 20, 20, 0.5f, 0.9f}}};
  EXPECT_EQ(one.run({.classes = {0}}).size(), 0u);
  EXPECT_EQ(one.run({.classes = {1, 7, -1}}).size(), 1u);
  EXPECT_EQ(one.run({.multi_label = true, .classes = {0}}).size(), 1u);
}

TEST(Nms, BrokenNumbersAreDropped) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  Prediction broken{2,
                    {{50, 50, 20, 20, nan, nan},
                     {nan, 50, 20, 20, 0.9f, 0.1f},
                     {50, 50, inf, 20, 0.9f, 0.1f},
                     {150, 50, 20, 20, nan, 0.8f},
                     {250, 50, 20, 20, 0.7f, nan},
                     {350, 50, 20, 20, inf, 0.1f}}};
  for (bool multi_label : {false, true}) {
    EXPECT_EQ(anchors_of(broken.run({.multi_label = multi_label})), (std::vector<int64_t>{5, 3, 4}));
  }
  EXPECT_TRUE(non_max_suppression(nullptr, 2, 0, {}).empty());
}

TEST(Nms, LimitsHold) {
  Prediction many{1, {}};
  for (int i = 0; i < 50; ++i)
    many.anchors.push_back({i * 100.0f, 50, 20, 20, 0.3f + 0.01f * static_cast<float>(i)});
  EXPECT_EQ(many.run({.max_detections = 7}).size(), 7u);
  EXPECT_EQ(many.run({.max_detections = 7})[0].anchor, 49);
  EXPECT_EQ(many.run({.max_candidates = 11}).size(), 11u);
  EXPECT_EQ(many.run({.max_detections = 0}).size(), 0u);
}

// 30000 boxes of which none suppresses another: the most work there is. About 0.3 s; the reference gives up
// after 2.
TEST(Nms, ManyCandidatesStayCheap) {
  constexpr int kCount = 30000;
  std::vector<float> planar(5 * kCount);
  for (int i = 0; i < kCount; ++i) {
    planar[static_cast<size_t>(i)] = static_cast<float>(i % 200) * 30.0f;
    planar[static_cast<size_t>(kCount + i)] = static_cast<float>(i / 200) * 30.0f;
    planar[static_cast<size_t>(2 * kCount + i)] = 20.0f;
    planar[static_cast<size_t>(3 * kCount + i)] = 20.0f;
    planar[static_cast<size_t>(4 * kCount + i)] = 0.9f;
  }
  EXPECT_EQ(non_max_suppression(planar.data(), 1, kCount, {}).size(), 300u);
  EXPECT_EQ(non_max_suppression(planar.data(), 1, kCount, {.max_detections = kCount}).size(), size_t{kCount});
}

TEST(GreedyNms, EqualScoresKeepTheirOrder) {
  std::vector<Box<InputPixels>> boxes = {
      {0, 0, 10, 10}, {100, 0, 110, 10}, {1, 0, 11, 10}, {5, 5, 5, 5}, {5, 5, 5, 5}};
  std::vector<float> scores(5, 0.5f);
  EXPECT_EQ(greedy_nms(boxes, scores, 0.5f), (std::vector<int64_t>{0, 1, 3, 4}));
  EXPECT_EQ(greedy_nms(boxes, scores, 0.5f, 2), (std::vector<int64_t>{0, 1}));
}

}  // namespace
}  // namespace marrow::detect
