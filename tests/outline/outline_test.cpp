#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "marrow/base/random.h"
#include "marrow/image/resize.h"
#include "marrow/outline/clipped.h"
#include "marrow/outline/raster.h"
#include "marrow/outline/resample.h"
#include "marrow/outline/turned_box.h"

namespace marrow::outline {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = NAN;
constexpr double kPi = std::numbers::pi;

std::vector<PixelPoint> resampled_pixels(const std::vector<PixelPoint>& points, size_t count) {
  return resampled(std::span<const PixelPoint>(points), count);
}

TEST(Resample, KeepsAllCornersWhereThereIsRoom) {
  const std::vector<PixelPoint> square = {{0, 0}, {8, 0}, {8, 8}, {0, 8}};
  for (const size_t count : {6, 7, 20, 1000}) {
    const auto points = resampled_pixels(square, count);
    EXPECT_EQ(points.size(), count);
    for (const PixelPoint& corner : square)
      EXPECT_NE(std::ranges::find(points, corner), points.end()) << count;
  }
  EXPECT_EQ(resampled_pixels(square, 4), square);
  EXPECT_EQ(resampled_pixels(square, 1), (std::vector<PixelPoint>{{0, 0}}));
  EXPECT_EQ(resampled_pixels({{3, 4}}, 5), (std::vector<PixelPoint>(5, {3, 4})));
}

TEST(Resample, NoFileTakesTheMemoryForAMillionPointsOfEveryOutline) {
  EXPECT_EQ(common_count(7, 40, 1000), 1000u);
  EXPECT_EQ(common_count(7, 1000, 1000), 1000u);
  EXPECT_EQ(common_count(7, 1001, 1000), 1002u);
  EXPECT_EQ(common_count(1, 1'000'000, 1000), 1'000'001u);
  for (const size_t outlines : {100u, 100'000u, 1'000'000u})
    EXPECT_LE(common_count(outlines, 1'000'000, 1000) * outlines, kMostPoints) << outlines;
  EXPECT_EQ(common_count(0, 0, 1000), 1000u);
}

TEST(ClippedBounds, OfAPictureInsideThePolygonAreThePicture) {
  const std::vector<PixelPoint> around = {{-9, -9}, {90, -9}, {90, 90}, {-9, 90}};
  EXPECT_EQ(clipped_bounds(around, {64, 48}), (Box<ImagePixels>{0, 0, 64, 48}));
  EXPECT_EQ(clipped_bounds(std::vector<PixelPoint>{{1, 1}, {kNan, 2}, {3, 3}}, {64, 48}), Box<ImagePixels>());
  EXPECT_EQ(clipped_bounds({}, {64, 48}), Box<ImagePixels>());
}

// A ring of 0s and 1s, by plain counting.
TEST(ClippedBounds, AreThoseOfThePixelsInside) {
  uint32_t state = 7;
  const auto draw = [&] { return static_cast<float>((state = state * 1664525u + 1013904223u) >> 24) - 90; };
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<PixelPoint> polygon(3 + static_cast<size_t>(trial % 6));
    for (PixelPoint& point : polygon) point = {draw(), draw()};
    const Box<ImagePixels> box = clipped_bounds(polygon, {64, 48});
    Box<ImagePixels> seen = {1e9f, 1e9f, -1e9f, -1e9f};
    for (int y = 0; y < 48 * 4; ++y)
      for (int x = 0; x < 64 * 4; ++x) {
        const float px = (static_cast<float>(x) + 0.5f) / 4, py = (static_cast<float>(y) + 0.5f) / 4;
        bool inside = false;
        for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++)
          if ((polygon[i].y > py) != (polygon[j].y > py) &&
              px < (polygon[j].x - polygon[i].x) * (py - polygon[i].y) / (polygon[j].y - polygon[i].y) +
                       polygon[i].x)
            inside = !inside;
        if (inside)
          seen = {std::min(seen.x1, px), std::min(seen.y1, py), std::max(seen.x2, px), std::max(seen.y2, py)};
      }
    if (seen.x1 > seen.x2) continue;
    EXPECT_LE(box.x1, seen.x1) << trial;
    EXPECT_LE(box.y1, seen.y1) << trial;
    EXPECT_GE(box.x2, seen.x2) << trial;
    EXPECT_GE(box.y2, seen.y2) << trial;
  }
}

TEST(ClipPolygon, CutsAtEachBorder) {
  // A diamond around the image's middle that reaches 2 pixels beyond every side.
  const std::vector<PixelPoint> diamond = {{5, -2}, {12, 5}, {5, 12}, {-2, 5}};
  const std::vector<PixelPoint> inside = clip_polygon(diamond, {10, 10});
  ASSERT_EQ(inside.size(), 8u);
  EXPECT_EQ(box_around(inside), (Box<ImagePixels>{0, 0, 10, 10}));
  EXPECT_TRUE(clip_polygon(std::vector<PixelPoint>{{20, 20}, {30, 20}, {30, 30}}, {10, 10}).empty());
  EXPECT_TRUE(clip_polygon({}, {10, 10}).empty());
}

TEST(ConvexHull, IsOfTheOutermostPoints) {
  const std::vector<PixelPoint> points = {{2, 2}, {0, 0}, {4, 0}, {2, 0}, {4, 4}, {0, 4}, {1, 3}, {0, 0}};
  EXPECT_EQ(convex_hull(points), (std::vector<PixelPoint>{{0, 0}, {4, 0}, {4, 4}, {0, 4}}));
  EXPECT_EQ(convex_hull(std::vector<PixelPoint>{{1, 1}, {1, 1}}).size(), 1u);
}

TEST(TurnedBox, ComesBackFromItsCorners) {
  for (int step = 0; step < 40; ++step) {
    const auto angle = static_cast<float>(-kPi / 4 + kPi * (step + 0.5) / 40);
    const RotatedBox<ImagePixels> box = {30, 20, 25, 10, angle};
    const auto corners = box.corners();
    const RotatedBox<ImagePixels> found = turned_box(corners);
    EXPECT_NEAR(found.cx, 30, 1e-3);
    EXPECT_NEAR(found.cy, 20, 1e-3);
    EXPECT_NEAR(found.width, 25, 1e-3);
    EXPECT_NEAR(found.height, 10, 1e-3);
    EXPECT_NEAR(found.angle, angle, 1e-3);
  }
  EXPECT_EQ(turned_box(std::vector<PixelPoint>{{1, kInf}, {2, 2}}), RotatedBox<ImagePixels>());
}

TEST(ClipTurned, KeepsTheAngleAtTheBorder) {
  const auto angle = static_cast<float>(kPi / 6);
  const auto corners = RotatedBox<ImagePixels>{60, 24, 30, 10, angle}.corners();
  std::vector<PixelPoint> points(corners.begin(), corners.end());
  Box<ImagePixels> bounds;
  clip_turned(points, bounds, {64, 48});
  EXPECT_EQ(points.size(), 4u);
  EXPECT_NEAR(turned_box(points).angle, angle, 1e-3);
  EXPECT_FLOAT_EQ(bounds.x2, 64);
  EXPECT_LT(turned_box(points).width, 30);
  std::vector<PixelPoint> away = {{70, 1}, {80, 1}, {80, 9}, {70, 9}};
  clip_turned(away, bounds, {64, 48});
  EXPECT_EQ(bounds, Box<ImagePixels>());
  EXPECT_EQ(away, std::vector<PixelPoint>(4));
}

// Perspective may divide zero by zero; without an order, sorting such points would leave their array.
TEST(ClipTurned, NothingIsLeftWherePointsAreNoNumbers) {
  for (const float no_number : {kNan, kInf, -kInf})
    for (size_t every = 1; every <= 3; ++every) {
      std::vector<PixelPoint> points;
      for (size_t i = 0; i < 100; ++i)
        points.push_back({i % every == 0 ? no_number : static_cast<float>(i), static_cast<float>(i % 7)});
      Box<ImagePixels> bounds = {1, 2, 3, 4};
      clip_turned(points, bounds, {64, 48});
      EXPECT_EQ(bounds, Box<ImagePixels>());
      EXPECT_EQ(points, std::vector<PixelPoint>(100));
    }
}

TEST(Fill, TakesPointsFarAwayAndNoneThatAreNoNumbers) {
  const Mask whole = fill(std::vector<PixelPoint>{{-3e38f, -3e38f}, {3e38f, -3e38f}, {0, 3e38f}}, {16, 8});
  EXPECT_EQ(whole.area(), 16 * 8);
  EXPECT_TRUE(fill(std::vector<PixelPoint>{{1, 1}, {kNan, 5}, {5, 5}}, {16, 8}).is_empty());
  EXPECT_TRUE(fill(std::vector<PixelPoint>{{1, 1}, {kInf, 5}, {5, 5}}, {16, 8}).is_empty());
  EXPECT_TRUE(fill({}, {16, 8}).is_empty());
}

// The shortcut against filling the whole canvas first.
TEST(FillSmall, IsTheWholeCanvasMadeSmaller) {
  uint32_t state = 3;
  const auto draw = [&] {
    return static_cast<float>((state = state * 1664525u + 1013904223u) >> 24) / 2 - 30;
  };
  for (const Size canvas : {Size{64, 48}, Size{61, 47}})
    for (const int ratio : {2, 3, 4, 8})
      for (int trial = 0; trial < 60; ++trial) {
        std::vector<PixelPoint> polygon(3 + static_cast<size_t>(trial % 5));
        for (PixelPoint& point : polygon) point = {draw(), draw()};
        const Mask large = fill(polygon, canvas);
        Mask wanted(Size{canvas.width / ratio, canvas.height / ratio});
        image::resize_linear(image::ConstPixels{large.pixels.data(), canvas.width, canvas.height, 1,
                                                static_cast<size_t>(canvas.width)},
                             image::MutablePixels{wanted.pixels.data(), wanted.size.width, wanted.size.height,
                                                  1, static_cast<size_t>(wanted.size.width)});
        EXPECT_EQ(fill_small(polygon, canvas, ratio), wanted) << canvas.width << " " << ratio << " " << trial;
      }
}

TEST(Overlap, ShowsTheSmallerOneAndCountsEmptyOnesFirst) {
  const Mask large = fill(std::vector<PixelPoint>{{0, 0}, {7, 0}, {7, 7}, {0, 7}}, {8, 8});
  const Mask small = fill(std::vector<PixelPoint>{{2, 2}, {4, 2}, {4, 4}, {2, 4}}, {8, 8});
  OverlappingMasks masks({8, 8});
  for (const Mask& mask : {small, large, Mask({8, 8}), small}) masks.add(mask);
  const Overlapped result = std::move(masks).take();
  EXPECT_EQ(result.order, (std::vector<size_t>{2, 1, 0, 3}));
  EXPECT_EQ(result.pixels[0], 2);
  EXPECT_EQ(result.pixels[3 * 8 + 3], 4);
  EXPECT_EQ(OverlappingMasks({3, 2}).take().pixels, std::vector<int32_t>(6));
}

TEST(Overlap, IsThatOfMasksPaintedByFallingArea) {
  constexpr Size kSize = {16, 12};
  Random random(3, "overlap");
  std::vector<Mask> masks;
  OverlappingMasks overlapping(kSize);
  for (int i = 0; i < 40; ++i) {  // of few sizes, so that many areas are equal
    const auto x = static_cast<float>(random.below(12)), y = static_cast<float>(random.below(9)),
               side = static_cast<float>(random.below(4));
    masks.push_back(
        fill(std::vector<PixelPoint>{{x, y}, {x + side, y}, {x + side, y + side}, {x, y + side}}, kSize));
    overlapping.add(masks.back());
  }
  const Overlapped result = std::move(overlapping).take();
  std::vector<int32_t> painted(result.pixels.size(), 0);
  ASSERT_EQ(result.order.size(), masks.size());
  for (size_t place = 0; place < masks.size(); ++place) {
    const Mask& mask = masks[result.order[place]];
    if (place > 0) {
      const Mask& before = masks[result.order[place - 1]];
      EXPECT_TRUE(before.area() > mask.area() ||
                  (before.area() == mask.area() && result.order[place - 1] < result.order[place]));
    }
    for (size_t i = 0; i < painted.size(); ++i)
      if (mask.pixels[i] != 0) painted[i] = static_cast<int32_t>(place) + 1;
  }
  EXPECT_EQ(result.pixels, painted);
}

TEST(PartsOf, GiveTheMaskBack) {
  Mask mask = fill(std::vector<PixelPoint>{{1, 1}, {6, 1}, {6, 5}}, {20, 12});
  add_contour(std::vector<PixelPoint>{{10, 2}, {18, 2}, {18, 9}, {10, 9}}, mask);
  const auto parts = parts_of(mask);
  ASSERT_EQ(parts.size(), 2u);
  Mask again({20, 12});
  for (const auto& part : parts) add_contour(part, again);
  EXPECT_EQ(again, mask);
  EXPECT_TRUE(parts_of(Mask({5, 5})).empty());
}

}  // namespace
}  // namespace marrow::outline
