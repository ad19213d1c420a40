#include "marrow/geometry/mask.h"

#include <gtest/gtest.h>

#include <array>

namespace marrow {
namespace {

TEST(Mask, RunsGoDownTheColumnsAndComeBack) {
  Mask mask({3, 2});
  mask.at(0, 1) = mask.at(1, 0) = mask.at(2, 1) = 1;
  const RunLengths runs = run_lengths(mask);
  EXPECT_EQ(runs, (RunLengths{1, 2, 2, 1}));
  EXPECT_EQ(mask_of_runs(runs, mask.size), mask);
  EXPECT_EQ(mask.area(), 3);
  EXPECT_FALSE(mask.is_empty());
  EXPECT_TRUE(Mask({3, 2}).is_empty());
  // The first run is of zeros, even where there are none.
  mask.at(0, 0) = 1;
  EXPECT_EQ(run_lengths(mask), (RunLengths{0, 3, 2, 1}));
}

TEST(Mask, PartsShareThePixelsThatTheWholeMasksShare) {
  uint32_t state = 7;
  const auto draw = [&](int limit) {
    return static_cast<int>((state = state * 1664525u + 1013904223u) >> 16) % limit;
  };
  EXPECT_EQ(trimmed(Mask({5, 4})).mask.area(), 0);
  for (int trial = 0; trial < 200; ++trial) {
    std::array<Mask, 2> masks;
    for (Mask& mask : masks) {
      mask = Mask({300, 9});
      const int left = draw(300), top = draw(9), right = left + draw(301 - left),
                bottom = top + draw(10 - top);
      for (int y = top; y < bottom; ++y)
        for (int x = left; x < right; ++x) mask.at(x, y) = draw(4) > 0;
    }
    int64_t shared = 0;
    for (size_t i = 0; i < masks[0].pixels.size(); ++i) shared += masks[0].pixels[i] & masks[1].pixels[i];
    const MaskPart first = trimmed(masks[0]), second = trimmed(masks[1]);
    EXPECT_EQ(first.mask.area(), masks[0].area());
    EXPECT_EQ(shared_pixels(first, second), shared);
    if (first.mask.area() > 0) {
      EXPECT_EQ(trimmed(first.mask).mask, first.mask);
    }
  }
}

TEST(Mask, TextOfRunsComesBack) {
  for (const RunLengths& runs : {RunLengths{0, 6}, RunLengths{1, 2, 2, 1}, RunLengths{31, 32, 1023, 1024, 7},
                                 RunLengths{4000000000u, 1, 0, 4000000000u}})
    EXPECT_EQ(parse_runs(compressed_runs(runs), runs.size()), runs);
}

TEST(Mask, BrokenRunsAreNoMask) {
  EXPECT_FALSE(mask_of_runs({7}, {3, 2}));
  EXPECT_FALSE(mask_of_runs({5}, {3, 2}));
  EXPECT_FALSE(mask_of_runs({0, UINT32_MAX, UINT32_MAX}, {3, 2}));
  EXPECT_TRUE(mask_of_runs({}, {0, 0}));
  EXPECT_FALSE(parse_runs("P", 9));     // more is to follow
  EXPECT_FALSE(parse_runs("\x01", 9));  // not a letter of it
  EXPECT_FALSE(parse_runs("oooooooooooo", 9));
  EXPECT_FALSE(parse_runs("111111", 3));  // too many
  EXPECT_FALSE(parse_runs("@", 9));       // below 0
}

}  // namespace
}  // namespace marrow
