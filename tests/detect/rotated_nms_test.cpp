#include "marrow/detect/rotated_nms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/random.h"
#include "marrow/geometry/probiou.h"

namespace marrow::detect {
namespace {

// Columns of cx, cy, w, h, one class, angle.
std::vector<float> turned_prediction(const std::vector<std::array<float, 6>>& boxes) {
  std::vector<float> rows(6 * boxes.size());
  for (size_t i = 0; i < boxes.size(); ++i)
    for (size_t r = 0; r < 6; ++r) rows[r * boxes.size() + i] = boxes[i][r];
  return rows;
}

// b overlaps a and c, which do not overlap: c goes with b, though b went itself.
TEST(RotatedNms, WhatGoesStillSuppresses) {
  const auto prediction = turned_prediction({{10, 10, 20, 8, .9f, .3f},
                                             {17, 12, 20, 8, .8f, .3f},
                                             {24, 14, 20, 8, .7f, .3f},
                                             {99, 99, 5, 5, .6f, 0}});
  NmsOptions options;
  options.iou = 0.3f;
  const auto found = rotated_suppression(prediction.data(), 1, 4, options);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].anchor, 0);
  EXPECT_EQ(found[1].anchor, 3);
}

TEST(RotatedNms, BoxesThatAreNoNumbersGo) {
  const auto prediction =
      turned_prediction({{10, 10, 20, 8, .9f, NAN}, {INFINITY, 1, 2, 3, .9f, 0}, {1, 1, 2, 2, .5f, 1}});
  const auto found = rotated_suppression(prediction.data(), 1, 3, {});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].anchor, 2);
}

// Of boxes of many sizes and places, the same go as by comparing all pairs.
TEST(RotatedNms, FindsEveryPair) {
  Random random(5, "turned boxes");
  for (const double spread : {3.0, 40.0, 2000.0})
    for (const double iou : {0.0, 0.05, 0.3, 0.7, 0.95, 1.0}) {
      std::vector<RotatedCandidate> candidates;
      for (int i = 0; i < 400; ++i) {
        // Sides from thousandths of a pixel to thousands.
        const auto side = [&] { return std::pow(10, random.uniform(-3, 3.5)); };
        RotatedBox<void, double> box = {random.uniform(0, spread), random.uniform(0, spread), side(), side(),
                                        random.uniform(-4, 4)};
        if (i % 3 == 0) box.height = box.width = random.uniform(5, 40);
        if (i % 10 == 0 && i > 0) box = candidates[static_cast<size_t>(i / 2)].box;
        if (i % 50 == 0) box.cx = 1e30;
        candidates.push_back({box, i % 2});
      }
      for (const bool agnostic : {false, true}) {
        const std::vector<bool> found = rotated_survivors(candidates, iou, agnostic);
        for (size_t j = 0; j < candidates.size(); ++j) {
          bool stays = true;
          for (size_t i = 0; i < j; ++i)
            if (agnostic || candidates[i].class_id == candidates[j].class_id)
              stays = stays &&
                      !probiou_exceeds(GaussianBox(candidates[i].box), GaussianBox(candidates[j].box), iou);
          ASSERT_EQ(found[j], stays) << j << ", spread " << spread << ", IoU " << iou;
        }
      }
    }
}

// The most work there is, as in nms_test.cpp: 30000 boxes of which none suppresses another. Comparing all
// pairs would take some ten seconds.
TEST(RotatedNms, ManyBoxesStayCheap) {
  constexpr int kCount = 30000;
  std::vector<RotatedCandidate> candidates;
  for (int i = 0; i < kCount; ++i) candidates.push_back({{i % 200 * 30.0, i / 200 * 30.0, 20, 12, 0.3}, 0});
  EXPECT_EQ(std::ranges::count(rotated_survivors(candidates, 0.7, false), true), kCount);
}

}  // namespace
}  // namespace marrow::detect
