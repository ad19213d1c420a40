#include "marrow/geometry/probiou.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace marrow {
namespace {

using Turned = RotatedBox<void, double>;

double iou(const Turned& a, const Turned& b) {
  return probiou(GaussianBox(a), GaussianBox(b));
}

TEST(Probiou, IsOfBoxesAndNotOfHowTheyAreWritten) {
  const Turned box = {10, 20, 30, 8, 0.4};
  EXPECT_NEAR(iou(box, box), 1 - std::sqrt(2e-7), 1e-9);
  EXPECT_NEAR(iou(box, {10, 20, 8, 30, 0.4 + std::numbers::pi / 2}), iou(box, box), 1e-9);
  EXPECT_NEAR(iou(box, {10, 20, 30, 8, 0.4 + std::numbers::pi}), iou(box, box), 1e-9);
  const Turned other = {12, 19, 20, 10, -0.2};
  EXPECT_NEAR(iou(box, other), iou(other, box), 1e-12);
  EXPECT_LT(iou(box, {400, 20, 30, 8, 0.4}), 1e-3);
}

TEST(Probiou, GradientsAreSlopes) {
  constexpr double kStep = 1e-6;
  const Turned target = {11, 19, 20, 10, -0.3};
  for (const double floor : {0.0, 0.01})
    for (const Turned& box :
         {Turned{10, 20, 30, 8, 0.4}, Turned{14, 17, 5, 9, 1.2}, Turned{11, 19, 19, 11, -0.2}}) {
      const auto found = probiou_gradient(box, target, floor);
      const auto value = [&](size_t i, double step) {
        Turned moved = box;
        double* const numbers[] = {&moved.cx, &moved.cy, &moved.width, &moved.height, &moved.angle};
        *numbers[i] += step;
        return probiou_gradient(moved, target, floor).iou;
      };
      for (size_t i = 0; i < 5; ++i)
        EXPECT_NEAR(found.gradient[i], (value(i, kStep) - value(i, -kStep)) / (2 * kStep), 1e-6) << i;
    }
}

TEST(Probiou, BoxesWithoutAreaAreNoTrouble) {
  const Turned nothing = {1, 2, 0, 0, 0}, line = {1, 2, 5, 0, 0};
  for (const Turned& other : {nothing, line, Turned{1, 2, 3, 4, 5}}) {
    EXPECT_TRUE(std::isfinite(iou(nothing, other)));
    EXPECT_EQ(probiou_exceeds(GaussianBox(nothing), GaussianBox(other), 0.5), iou(nothing, other) > 0.5);
  }
}

TEST(RotatedBox, BoundsEncloseItsCorners) {
  const RotatedBox<ImagePixels> box = {10, 10, 4, 2, static_cast<float>(std::numbers::pi / 2)};
  const Box<ImagePixels> bounds = box.bounds();
  EXPECT_NEAR(bounds.x1, 9, 1e-5);
  EXPECT_NEAR(bounds.y1, 8, 1e-5);
  EXPECT_NEAR(bounds.x2, 11, 1e-5);
  EXPECT_NEAR(bounds.y2, 12, 1e-5);
}

}  // namespace
}  // namespace marrow
