#include "marrow/detect/rotated_nms.h"

#include <gtest/gtest.h>

#include <cmath>

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

}  // namespace
}  // namespace marrow::detect
