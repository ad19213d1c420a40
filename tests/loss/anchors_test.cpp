#include "marrow/loss/anchors.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "marrow/base/random.h"

namespace marrow::loss {
namespace {

TEST(CellsBetween, HoldsTheCentresStrictlyBetween) {
  const auto expect_range = [](float low, float high, int stride, int64_t count) {
    const CellRange found = cells_between(low, high, stride, count);
    for (int64_t cell = 0; cell < count; ++cell) {
      const double centre = (static_cast<double>(cell) + 0.5) * stride;
      EXPECT_EQ(found.begin <= cell && cell < found.end, low < centre && centre < high)
          << low << " to " << high << ", stride " << stride << ", cell " << cell;
    }
  };
  expect_range(4, 12, 8, 5);  // both on a centre
  expect_range(3.999f, 12.001f, 8, 5);
  expect_range(4.001f, 11.999f, 8, 5);
  Random random(1, "ranges");
  for (int i = 0; i < 2000; ++i) {
    const auto low = static_cast<float>(random.uniform(-40, 120));
    expect_range(low, low + static_cast<float>(random.uniform(-10, 60)), 1 << random.below(6),
                 static_cast<int64_t>(random.below(12)));
  }
}

TEST(CellsBetween, TakesAnyNumber) {
  constexpr float kHuge = std::numeric_limits<float>::max(),
                  kInfinity = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float low : {-kInfinity, -kHuge})
    for (const float high : {kInfinity, kHuge}) {
      EXPECT_EQ(cells_between(low, high, 8, 7).begin, 0);
      EXPECT_EQ(cells_between(low, high, 8, 7).end, 7);
    }
  for (const auto& [low, high] :
       {std::pair{kNan, 5.0f}, {5.0f, kNan}, {kInfinity, kInfinity}, {kHuge, kInfinity}})
    EXPECT_EQ(cells_between(low, high, 8, 7).begin, cells_between(low, high, 8, 7).end);
}

TEST(SearchBox, GrowsShortSidesAboutTheirMiddle) {
  EXPECT_EQ(search_box({10, 20, 14, 60}, 16), (BoxXyxy{4, 20, 20, 60}));
  EXPECT_EQ(search_box({10, 20, 14, 60}, 0), (BoxXyxy{10, 20, 14, 60}));
}

TEST(MarkInside, MarksTheAnchorsOfTheImagesObjectsOnEveryLevel) {
  const std::vector<AnchorLevel> levels = {{3, 4, 8, 0}, {2, 2, 16, 12}};
  ASSERT_EQ(anchor_count(levels), 16);
  EXPECT_EQ(level_of(levels, 11).stride, 8);
  EXPECT_EQ(level_of(levels, 12).stride, 16);
  // Of image 1: around the second and third anchor of the second row, and the first of the coarse level; the
  // other is no box.
  const Objects objects = {{0, 1, 3}, {0, 0, 0}, {{0, 0, 32, 24}, {7, 7, 21, 13}, {0, 0, 0, 0}}};
  std::vector<uint8_t> marks(16);
  mark_inside(levels, objects, 1, 0, marks);
  for (size_t anchor = 0; anchor < marks.size(); ++anchor)
    EXPECT_EQ(marks[anchor] != 0, anchor == 5 || anchor == 6 || anchor == 12) << anchor;
}

}  // namespace
}  // namespace marrow::loss
