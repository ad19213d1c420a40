#include "marrow/loss/box_iou.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "marrow/base/random.h"

namespace marrow::loss {
namespace {

using Sides = std::array<double, 4>;

MeasuredBox measured(const Sides& s) {
  return {s[0], s[1], s[2], s[3]};
}

constexpr double kEps = 1e-7;

// As the paper defines them.
double diou(const Sides& a, const Sides& b) {
  const double ah = a[3] - a[1] + kEps, bh = b[3] - b[1] + kEps;
  const double shared = std::max(std::min(a[2], b[2]) - std::max(a[0], b[0]), 0.0) *
                        std::max(std::min(a[3], b[3]) - std::max(a[1], b[1]), 0.0);
  const double iou = shared / ((a[2] - a[0]) * ah + (b[2] - b[0]) * bh - shared + kEps);
  const double distance = std::hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2;
  const double diagonal =
      std::hypot(std::max(a[2], b[2]) - std::min(a[0], b[0]), std::max(a[3], b[3]) - std::min(a[1], b[1]));
  return iou - distance * distance / (diagonal * diagonal + kEps);
}

double aspect(const Sides& a, const Sides& b) {
  const auto angle = [](const Sides& s) { return std::atan((s[2] - s[0]) / (s[3] - s[1] + kEps)); };
  return 4 / (std::numbers::pi * std::numbers::pi) * std::pow(angle(a) - angle(b), 2);
}

Sides random_box(Random& random) {
  const double x = random.uniform(0, 20), y = random.uniform(0, 20);
  return {x, y, x + random.uniform(1, 15), y + random.uniform(1, 15)};
}

TEST(CompleteIou, IsOneForEqualBoxesAndFallsWithDistance) {
  const MeasuredBox box(1, 2, 5, 9);
  EXPECT_NEAR(complete_iou(box, box), 1, 1e-6);
  EXPECT_NEAR(complete_iou({0, 0, 2, 2}, {4, 0, 6, 2}), -16.0 / 40, 1e-6);
  // Both inside the other's middle: IoU 1/4, the same centre, and a quarter turn between 1:4 and 1:1.
  const double turn = std::atan(4.0) - std::atan(1.0), v = 4 / (M_PI * M_PI) * turn * turn;
  EXPECT_NEAR(complete_iou({0, 1.5, 4, 2.5}, {0, 0, 4, 4}), 0.25 - v * v / (v + 0.75), 1e-6);
}

TEST(CompleteIou, GradientMatchesFiniteDifferencesWithAConstantAlpha) {
  Random random(1, "boxes");
  int apart = 0;
  for (int i = 0; i < 200; ++i) {
    Sides a = random_box(random);
    const Sides b = random_box(random);
    const IouAndGradient found = complete_iou_gradient(measured(a), measured(b));
    EXPECT_EQ(found.iou, complete_iou(measured(a), measured(b)));
    const double alpha = (diou(a, b) - found.iou) / aspect(a, b);
    apart += std::max(a[0], b[0]) > std::min(a[2], b[2]);
    for (size_t side = 0; side < 4; ++side) {
      const double before = a[side];
      const auto moved = [&](double by) {
        a[side] = before + by;
        const double value = diou(a, b) - alpha * aspect(a, b);
        a[side] = before;
        return value;
      };
      EXPECT_NEAR(found.gradient[side], (moved(1e-6) - moved(-1e-6)) / 2e-6, 2e-8) << i << " " << side;
    }
  }
  EXPECT_GT(apart, 20);
}

// A side that both boxes share: half of what it would have on either side.
TEST(CompleteIou, ASharedSideHasHalfAGradient) {
  const auto gradient = [](double x1) {
    return complete_iou_gradient({x1, 1, 6, 5}, {2, 0, 8, 4}).gradient[0];
  };
  const double below = gradient(2 - 1e-9), above = gradient(2 + 1e-9);
  ASSERT_GT(std::abs(above - below), 0.05);
  EXPECT_NEAR(gradient(2), (below + above) / 2, 1e-7);
}

}  // namespace
}  // namespace marrow::loss
