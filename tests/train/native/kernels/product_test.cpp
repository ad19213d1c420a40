// Dense and depthwise products against sums in double, on sizes that leave remainders.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support.h"

namespace marrow::train::native {
namespace {

// A sum in double, and how far one in float may be from it: the error of a chain of additions grows as its
// partial sums do, which for numbers of either sign is slower than their magnitudes.
struct WantedSum {
  double sum, magnitude;

  explicit WantedSum(double from = 0) : sum(from), magnitude(std::abs(from)) {}
  void add(double product) {
    sum += product;
    magnitude += std::abs(product);
  }
  double tolerance() const { return 4e-7 * magnitude; }
};

struct MultiplyCase {
  int blocks, block_channels;
  std::vector<int64_t> taps;  // in pixels
  int outputs;
  int64_t pixels, src_step, dst_step;  // in vectors
};

void expect_product(const Kernels& kernels, const MultiplyCase& c) {
  SCOPED_TRACE(::testing::Message() << c.blocks << " blocks of " << c.block_channels << ", " << c.taps.size()
                                    << " taps, " << c.outputs << " outputs, " << c.pixels << " pixels "
                                    << c.src_step << " apart");
  const int64_t lanes = kernels.lanes, width = c.outputs * lanes;
  const int64_t src_block = (c.pixels * c.src_step + 9) * lanes,
                dst_block = (c.pixels * c.dst_step + 2) * lanes;
  const Floats src = normals(c.blocks * src_block, "src");
  const Floats weights =
      normals(c.blocks * static_cast<int64_t>(c.taps.size()) * c.block_channels * width, "weights");
  std::vector<int64_t> taps;
  for (const int64_t tap : c.taps) taps.push_back(tap * lanes);
  Floats dst(static_cast<size_t>(c.outputs * dst_block), 77.f);
  kernels.multiply({src.data(), src_block, c.src_step * lanes, c.blocks, c.block_channels, taps.data(),
                    static_cast<int>(taps.size()), weights.data(), c.outputs, dst.data(), dst_block,
                    c.dst_step * lanes, c.pixels});
  for (int64_t out = 0; out < c.outputs; ++out)
    for (int64_t i = 0; i < dst_block; ++i) {
      const int64_t pixel = i / lanes / c.dst_step, lane = i % lanes;
      if (pixel >= c.pixels || i / lanes % c.dst_step != 0) {
        ASSERT_EQ(at(dst, out * dst_block + i), 77.f) << "outside the outputs";
        continue;
      }
      WantedSum wanted;
      int64_t row = 0;
      for (int64_t block = 0; block < c.blocks; ++block)
        for (const int64_t tap : taps)
          for (int64_t channel = 0; channel < c.block_channels; ++channel, ++row)
            wanted.add(double{at(src, block * src_block + tap + pixel * c.src_step * lanes + channel)} *
                       at(weights, row * width + out * lanes + lane));
      ASSERT_NEAR(at(dst, out * dst_block + i), wanted.sum, wanted.tolerance())
          << "output " << out << ", pixel " << pixel;
    }
}

TEST(Multiply, MatchesDoublePrecisionForEveryTile) {
  at_every_level([](const Kernels& kernels) {
    for (int outputs = 1; outputs <= kernels.output_group; ++outputs)
      for (const int64_t step : {1, 2, 3})
        for (int64_t pixels = 1; pixels <= 40; pixels += pixels < 26 ? 1 : 7)
          expect_product(kernels, {2, kernels.lanes, {0, 2}, outputs, pixels, step, 1});
  });
}

TEST(Multiply, TakesAnyTapsBlocksAndSteps) {
  at_every_level([](const Kernels& kernels) {
    const int lanes = kernels.lanes;
    for (const int outputs : {1, kernels.output_group}) {
      expect_product(kernels, {1, lanes, {0}, outputs, 1, 1, 1});
      expect_product(kernels, {3, lanes, {0}, outputs, 13, 1, 2});
      expect_product(kernels, {4, lanes, {4, 3, 1, 0}, outputs, 10, 1, 3});
      expect_product(kernels, {5, lanes, {0, 1, 2, 3, 4, 5, 6, 7, 8}, outputs, 7, 2, 1});
      expect_product(kernels, {2, lanes, {0, 1, 2}, outputs, 5, 4, 1});
      // The stem reads three channels of a block.
      expect_product(kernels, {1, 3, {0, 1, 2, 5, 6, 7}, outputs, 21, 2, 1});
      expect_product(kernels, {1, 1, {0}, outputs, 4, 1, 1});
    }
  });
}

// However pixels are cut into calls, bits are the same.
TEST(Multiply, GivesTheSameBitsForAPixelWhereverItStands) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes, pixels = 31, block = pixels * lanes, tap = 0;
    const int outputs = kernels.output_group;
    const Floats src = normals(3 * block, "src"), weights = normals(3 * lanes * outputs * lanes, "weights");
    Floats whole(static_cast<size_t>(outputs * block)), cut(whole.size());
    const auto run = [&](int64_t first, int64_t count, Floats& dst) {
      kernels.multiply({src.data() + first * lanes, block, lanes, 3, kernels.lanes, &tap, 1, weights.data(),
                        outputs, dst.data() + first * lanes, block, lanes, count});
    };
    run(0, pixels, whole);
    run(0, 1, cut);
    run(1, 13, cut);
    run(14, 17, cut);
    EXPECT_EQ(whole, cut);
  });
}

TEST(Multiply, OfNoPixelsTouchesNothing) {
  at_every_level([](const Kernels& kernels) {
    const Floats numbers(64, 1.f);
    const int64_t tap = 0;
    Floats dst(64, 5.f);
    kernels.multiply({numbers.data(), 0, kernels.lanes, 1, 1, &tap, 1, numbers.data(), 1, dst.data(), 0,
                      kernels.lanes, 0});
    EXPECT_EQ(dst, Floats(64, 5.f));
  });
}

void expect_outer(const Kernels& kernels, int outputs, int inputs, int64_t rows, int64_t pixels,
                  int64_t x_step) {
  SCOPED_TRACE(::testing::Message() << outputs << " by " << inputs << " blocks, " << rows << " rows of "
                                    << pixels << " pixels " << x_step << " apart");
  const int64_t lanes = kernels.lanes;
  const int64_t dy_row = (pixels + 1) * lanes, dy_block = rows * dy_row + lanes;
  const int64_t x_row = (pixels * x_step + 2) * lanes, x_block = rows * x_row;
  const int64_t acc_step = (inputs + 1) * lanes;
  const Floats dy = normals(outputs * dy_block, "dy"), x = normals(inputs * x_block, "x");
  const Floats before = normals(outputs * lanes * acc_step, "acc");
  Floats acc = before;
  kernels.outer({dy.data(), dy_block, dy_row, outputs, x.data(), x_block, x_row, x_step * lanes, inputs, rows,
                 pixels, acc.data(), acc_step});
  for (int64_t out = 0; out < outputs * lanes; ++out)
    for (int64_t in = 0; in < acc_step; ++in) {
      WantedSum wanted(at(before, out * acc_step + in));
      if (in >= inputs * lanes) {
        ASSERT_EQ(at(acc, out * acc_step + in), at(before, out * acc_step + in)) << "outside the sums";
        continue;
      }
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t p = 0; p < pixels; ++p)
          wanted.add(double{at(dy, out / lanes * dy_block + row * dy_row + p * lanes + out % lanes)} *
                     at(x, in / lanes * x_block + row * x_row + p * x_step * lanes + in % lanes));
      ASSERT_NEAR(at(acc, out * acc_step + in), wanted.sum, wanted.tolerance()) << out << ", " << in;
    }
}

TEST(Outer, GoesOnFromWhatWasSummed) {
  at_every_level([](const Kernels& kernels) {
    for (int outputs = 1; outputs <= 3; ++outputs)
      for (int inputs = 1; inputs <= 6; ++inputs) expect_outer(kernels, outputs, inputs, 2, 5, 1);
    expect_outer(kernels, 1, 1, 1, 1, 1);
    expect_outer(kernels, 2, 3, 3, 7, 2);
    expect_outer(kernels, 3, 2, 1, 67, 1);
    expect_outer(kernels, 2, 4, 4, 3, 3);
    expect_outer(kernels, 2, 2, 0, 3, 1);
    expect_outer(kernels, 2, 2, 3, 0, 1);
    // More than the first-level cache holds: some rows at a time, or parts of one.
    expect_outer(kernels, 1, 3, 9, 61, 2);
    expect_outer(kernels, 1, 2, 2, 1501, 1);
  });
}

void expect_lane_taps(const Kernels& kernels, int64_t pixels, int taps, int64_t src_step, int64_t dst_step) {
  SCOPED_TRACE(::testing::Message() << pixels << " pixels " << src_step << " apart, " << taps << " taps");
  const int64_t lanes = kernels.lanes;
  const Floats src = normals((pixels * src_step + 2 * taps) * lanes, "src"),
               weights = normals(taps * lanes, "weights");
  std::vector<int64_t> offsets;
  for (int tap = 0; tap < taps; ++tap) offsets.push_back((tap % 2 == 0 ? tap : 2 * tap - 1) * lanes);
  Floats dst(static_cast<size_t>((pixels * dst_step + 1) * lanes), 77.f);
  kernels.lane_taps({src.data(), src_step * lanes, offsets.data(), taps, weights.data(), dst.data(),
                     dst_step * lanes, pixels});
  for (int64_t i = 0; i < static_cast<int64_t>(dst.size()); ++i) {
    const int64_t pixel = i / lanes / dst_step, lane = i % lanes;
    if (pixel >= pixels || i / lanes % dst_step != 0) {
      ASSERT_EQ(at(dst, i), 77.f) << "outside the outputs";
      continue;
    }
    WantedSum wanted;
    for (int tap = 0; tap < taps; ++tap)
      wanted.add(double{at(src, at(offsets, tap) + pixel * src_step * lanes + lane)} *
                 at(weights, tap * lanes + lane));
    ASSERT_NEAR(at(dst, i), wanted.sum, wanted.tolerance()) << "pixel " << pixel;
  }
}

TEST(LaneTaps, MatchDoublePrecision) {
  at_every_level([](const Kernels& kernels) {
    for (const int64_t step : {1, 2, 3})
      for (int64_t pixels = 0; pixels <= 27; ++pixels) expect_lane_taps(kernels, pixels, 4, step, 1);
    for (const int taps : {1, 9, 25, 49})
      for (const int64_t step : {1, 2}) expect_lane_taps(kernels, 20, taps, step, 3 - step);
  });
}

void expect_lane_outer(const Kernels& kernels, int taps, int64_t rows, int64_t pixels, int64_t x_step) {
  SCOPED_TRACE(::testing::Message() << taps << " taps, " << rows << " rows of " << pixels << " pixels "
                                    << x_step << " apart");
  const int64_t lanes = kernels.lanes;
  const int64_t dy_row = (pixels + 2) * lanes, x_row = (pixels * x_step + taps) * lanes;
  const Floats dy = normals(rows * dy_row, "dy"), x = normals(rows * x_row, "x");
  const Floats before = normals((taps + 1) * lanes, "acc");
  Floats acc = before;
  kernels.lane_outer({dy.data(), dy_row, x.data(), x_row, x_step * lanes, taps, rows, pixels, acc.data()});
  for (int64_t i = 0; i < taps * lanes; ++i) {
    WantedSum wanted(at(before, i));
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t p = 0; p < pixels; ++p)
        wanted.add(double{at(dy, row * dy_row + p * lanes + i % lanes)} *
                   at(x, row * x_row + p * x_step * lanes + i));
    ASSERT_NEAR(at(acc, i), wanted.sum, wanted.tolerance()) << "tap " << i / lanes;
  }
  for (int64_t i = taps * lanes; i < (taps + 1) * lanes; ++i) ASSERT_EQ(at(acc, i), at(before, i));
}

TEST(LaneOuter, TakesAnyNumberOfTaps) {
  at_every_level([](const Kernels& kernels) {
    for (int taps = 1; taps <= 15; ++taps)
      for (const int64_t step : {1, 2, 3}) expect_lane_outer(kernels, taps, 3, 11, step);
    for (const int taps : {3, 5, 7})
      for (const int64_t pixels : {1, 2, 3, 4, 5, 40}) expect_lane_outer(kernels, taps, 2, pixels, 1);
    expect_lane_outer(kernels, 3, 0, 5, 1);
  });
}

TEST(Groups, AreOfNearlyOneSize) {
  const auto groups = [](int blocks, int most) {
    std::vector<int> sizes;
    for (; blocks > 0; blocks -= sizes.back()) sizes.push_back(next_group(blocks, most));
    return sizes;
  };
  EXPECT_EQ(groups(1, 3), (std::vector{1}));
  EXPECT_EQ(groups(4, 3), (std::vector{2, 2}));
  EXPECT_EQ(groups(7, 3), (std::vector{3, 2, 2}));
  EXPECT_EQ(groups(8, 3), (std::vector{3, 3, 2}));
  EXPECT_EQ(groups(5, 4), (std::vector{3, 2}));
}

}  // namespace
}  // namespace marrow::train::native
