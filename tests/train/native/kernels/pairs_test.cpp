// Products of pairs of bfloat16, and how pairs are made, against plain loops over operands that are rounded.
#include <cmath>
#include <cstring>
#include <numeric>

#include "marrow/train/native/kernels/pack.h"
#include "support.h"
#include "train/native/bfloat16.h"

namespace marrow::train::native {
namespace {

using testing::rounded_to_bfloat16;

class Pairs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_bfloat16()) GTEST_SKIP() << testing::kNoBfloat16;
  }
  const Kernels& kernels_ = kernels_of(cpu::choose_simd_level());
};

// One of a pair that lies in the place of a float.
float half_of(const float* pair, int64_t which) {
  uint32_t bits = 0;
  std::memcpy(&bits, pair, sizeof bits);
  return std::bit_cast<float>(which == 0 ? bits << 16 : bits & 0xffff0000);
}

// Two roundings to float32 a pair.
double tolerance_of(double magnitude) {
  return 4e-7 * magnitude;
}

TEST_F(Pairs, OfLanesAreRoundedToNearestEven) {
  const int64_t lanes = kernels_.lanes;
  for (int64_t pixels = 0; pixels <= 5; ++pixels) {
    Floats src = normals(pixels * lanes, "src");
    if (pixels == 5) {  // ties, a rounding up to the next power of two, infinity
      const float numbers[] = {1 + 0x1p-8F, 1 + 3 * 0x1p-8F, 2 - 0x1p-10F, -1 - 0x1p-8F, INFINITY, 0, -0.F};
      std::ranges::copy(numbers, src.begin());
    }
    Floats dst(static_cast<size_t>((pixels + 2) * lanes / 2), 77.F);
    kernels_.pair_lanes(src.data(), dst.data(), pixels);
    for (int64_t i = 0; i < pixels * lanes; ++i)
      ASSERT_EQ(half_of(&at(dst, i / 2), i % 2), rounded_to_bfloat16(at(src, i))) << i;
    for (int64_t i = pixels * lanes / 2; i < std::ssize(dst); ++i) ASSERT_EQ(at(dst, i), 77.F);
  }
}

TEST_F(Pairs, OfPixelsEndWithZeros) {
  const int64_t lanes = kernels_.lanes;
  for (const int64_t step : {1, 2, 3})
    for (int64_t pixels = 0; pixels <= 7; ++pixels) {
      const Floats src = normals(std::max<int64_t>((pixels - 1) * step + 1, 0) * lanes, "src");
      Floats dst(static_cast<size_t>(((pixels + 1) / 2 + 1) * lanes), 77.F);
      kernels_.pair_pixels({src.data(), step * lanes, dst.data(), pixels});
      for (int64_t p = 0; p < (pixels + 1) / 2 * 2; ++p)
        for (int64_t lane = 0; lane < lanes; ++lane)
          ASSERT_EQ(half_of(&at(dst, p / 2 * lanes + lane), p % 2),
                    p < pixels ? rounded_to_bfloat16(at(src, p * step * lanes + lane)) : 0)
              << "pixel " << p << ", lane " << lane;
      for (int64_t i = (pixels + 1) / 2 * lanes; i < std::ssize(dst); ++i) ASSERT_EQ(at(dst, i), 77.F);
    }
}

TEST_F(Pairs, OfWeightsLieAsTheProductReadsThem) {
  constexpr int kOutputs = 74, kInputs = 27;
  const int64_t lanes = kernels_.lanes;
  const Floats weights = normals(kOutputs * kInputs * 9, "weights");
  const std::vector<int> taps = {8, 6, 2, 0};
  std::vector<int> outputs(static_cast<size_t>(5 * lanes), kNoChannel);
  for (int i = 0; i < kOutputs; ++i) outputs[static_cast<size_t>(i)] = (7 * i) % kOutputs;
  for (const int block_channels : {4, static_cast<int>(lanes)}) {
    std::vector<int> inputs(static_cast<size_t>(block_channels < lanes ? block_channels : 2 * lanes),
                            kNoChannel);
    std::iota(inputs.begin(), inputs.begin() + (block_channels < lanes ? 3 : kInputs), 0);
    const PackArgs args{weights.data(), kInputs * 9, 9, outputs, inputs, block_channels, taps, true};
    Floats packed(static_cast<size_t>(packed_size(args)), 77.F);
    pack_weights(args, kernels_, packed.data());
    const float* pair = packed.data();
    for (int first = 0, group = 0; first < 5; first += group) {
      group = next_group(5 - first, kernels_.output_group);
      const float* begin = pair;
      for (size_t block = 0; block < inputs.size(); block += static_cast<size_t>(block_channels))
        for (const int tap : taps)
          for (size_t lane = 0; lane < static_cast<size_t>(block_channels); lane += 2)
            for (int64_t i = 0; i < group * lanes; ++i, ++pair)
              for (size_t which = 0; which < 2; ++which) {
                const int out = at(outputs, first * lanes + i), in = inputs[block + lane + which];
                const float wanted = out == kNoChannel || in == kNoChannel
                                         ? 0
                                         : at(weights, (int64_t{out} * kInputs + in) * 9 + tap);
                ASSERT_EQ(half_of(pair, static_cast<int64_t>(which)), rounded_to_bfloat16(wanted));
              }
      ASSERT_EQ(pair - begin, packed_group_size(args, group, kernels_));
    }
    ASSERT_EQ(pair - packed.data(), packed_size(args));
  }
}

// src [block][pixel][lane] as pairs of lanes.
Floats lane_pairs(const Kernels& kernels, const Floats& src) {
  Floats pairs(src.size() / 2);
  kernels.pair_lanes(src.data(), pairs.data(), std::ssize(src) / kernels.lanes);
  return pairs;
}

struct PairCase {
  int blocks, block_pairs;
  std::vector<int64_t> taps;  // in pixels
  int outputs;
  int64_t pixels, src_step, dst_step;  // in pixels
};

void expect_pair_product(const Kernels& kernels, const PairCase& c) {
  SCOPED_TRACE(::testing::Message() << c.blocks << " blocks of " << c.block_pairs << ", " << c.taps.size()
                                    << " taps, " << c.outputs << " outputs, " << c.pixels << " pixels "
                                    << c.src_step << " apart");
  const int64_t lanes = kernels.lanes, width = c.outputs * lanes, half = lanes / 2;
  const int64_t src_pixels = (c.pixels * c.src_step + 10) / 2 * 2;
  const int64_t dst_block = (c.pixels * c.dst_step + 2) * lanes;
  const Floats src = normals(c.blocks * src_pixels * lanes, "src"), src_pairs = lane_pairs(kernels, src);
  // [block][tap][pair][lane of the outputs], each half from a tensor of its own.
  const int64_t rows = c.blocks * std::ssize(c.taps) * c.block_pairs;
  const Floats weights = normals(rows * 2 * width, "weights");
  Floats packed(static_cast<size_t>(rows * width));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < width; i += lanes)
      kernels.pair_pixels({weights.data() + row * 2 * width + i, width, packed.data() + row * width + i, 2});
  std::vector<int64_t> taps;
  for (const int64_t tap : c.taps) taps.push_back(tap * half);
  Floats dst(static_cast<size_t>(c.outputs * dst_block), 77.F);
  kernels.multiply_pairs({src_pairs.data(), src_pixels * half, c.src_step * half, c.blocks, c.block_pairs,
                          taps.data(), static_cast<int>(taps.size()), packed.data(), c.outputs, dst.data(),
                          dst_block, c.dst_step * lanes, c.pixels});
  for (int64_t out = 0; out < c.outputs; ++out)
    for (int64_t i = 0; i < dst_block; ++i) {
      const int64_t pixel = i / lanes / c.dst_step, lane = i % lanes;
      if (pixel >= c.pixels || i / lanes % c.dst_step != 0) {
        ASSERT_EQ(at(dst, out * dst_block + i), 77.F) << "outside the outputs";
        continue;
      }
      double sum = 0, magnitude = 0;
      int64_t row = 0;
      for (int64_t block = 0; block < c.blocks; ++block)
        for (const int64_t tap : c.taps)
          for (int64_t channel = 0; channel < 2 * c.block_pairs; ++channel, ++row) {
            const float x = at(src, ((block * src_pixels + tap + pixel * c.src_step) * lanes) + channel);
            const double product = double{rounded_to_bfloat16(x)} *
                                   rounded_to_bfloat16(at(weights, row * width + out * lanes + lane));
            sum += product;
            magnitude += std::abs(product);
          }
      ASSERT_NEAR(at(dst, out * dst_block + i), sum, tolerance_of(magnitude))
          << "output " << out << ", pixel " << pixel;
    }
}

TEST_F(Pairs, MultiplyMatchesTheLoopForEveryTile) {
  for (int outputs = 1; outputs <= kernels_.output_group; ++outputs)
    for (const int64_t step : {1, 2, 3})
      for (int64_t pixels = 1; pixels <= 40; pixels += pixels < 26 ? 1 : 7)
        expect_pair_product(kernels_, {2, kernels_.lanes / 2, {0, 2}, outputs, pixels, step, 1});
}

TEST_F(Pairs, MultiplyTakesAnyTapsBlocksAndSteps) {
  const int pairs = kernels_.lanes / 2;
  for (const int outputs : {1, kernels_.output_group}) {
    expect_pair_product(kernels_, {3, pairs, {0}, outputs, 13, 1, 2});
    expect_pair_product(kernels_, {4, pairs, {4, 3, 1, 0}, outputs, 10, 1, 3});
    expect_pair_product(kernels_, {33, pairs, {0, 1, 2, 3, 4, 5, 6, 7, 8}, outputs, 7, 2, 1});
    expect_pair_product(kernels_, {1, 2, {0, 1, 2, 5, 6, 7}, outputs, 21, 2, 1});  // a stem
    expect_pair_product(kernels_, {1, 1, {0}, outputs, 4, 1, 1});
  }
}

TEST_F(Pairs, MultiplyGivesTheSameBitsForAPixelWhereverItStands) {
  const int64_t lanes = kernels_.lanes, half = lanes / 2, pixels = 31, block = pixels * lanes, tap = 0;
  const int outputs = kernels_.output_group;
  const Floats src = lane_pairs(kernels_, normals(4 * block, "src"));
  const Floats weights = lane_pairs(kernels_, normals(4 * lanes * outputs * lanes, "weights"));
  Floats whole(static_cast<size_t>(outputs * block)), cut(whole.size());
  const auto run = [&](int64_t first, int64_t count, Floats& dst) {
    kernels_.multiply_pairs({src.data() + first * half, block / 2, half, 4, kernels_.lanes / 2, &tap, 1,
                             weights.data(), outputs, dst.data() + first * lanes, block, lanes, count});
  };
  run(0, pixels, whole);
  run(0, 1, cut);
  run(1, 13, cut);
  run(14, 17, cut);
  EXPECT_EQ(whole, cut);
}

void expect_pair_outer(const Kernels& kernels, int outputs, int inputs, int64_t rows, int64_t pixels) {
  SCOPED_TRACE(::testing::Message() << outputs << " by " << inputs << " blocks, " << rows << " rows of "
                                    << pixels << " pixels");
  const int64_t lanes = kernels.lanes, row = (pixels + 1) / 2 * lanes, acc_step = (inputs + 1) * lanes;
  const auto pairs_of = [&](const Floats& src, int64_t blocks) {
    Floats pairs(static_cast<size_t>(blocks * rows * row));
    for (int64_t i = 0; i < blocks * rows; ++i)
      kernels.pair_pixels({src.data() + i * pixels * lanes, lanes, pairs.data() + i * row, pixels});
    return pairs;
  };
  const Floats dy = normals(outputs * rows * pixels * lanes, "dy");
  const Floats x = normals(inputs * rows * pixels * lanes, "x");
  const Floats dy_pairs = pairs_of(dy, outputs), x_pairs = pairs_of(x, inputs);
  const Floats before = normals(outputs * lanes * acc_step, "acc");
  Floats acc = before;
  kernels.outer_pairs({dy_pairs.data(), rows * row, row, outputs, x_pairs.data(), rows * row, row, lanes,
                       inputs, rows, (pixels + 1) / 2, acc.data(), acc_step});
  const auto channel = [&](const Floats& map, int64_t c, int64_t p) {
    return double{rounded_to_bfloat16(at(map, (c / lanes * rows * pixels + p) * lanes + c % lanes))};
  };
  for (int64_t out = 0; out < outputs * lanes; ++out)
    for (int64_t in = 0; in < acc_step; ++in) {
      const int64_t place = out * acc_step + in;
      if (in >= inputs * lanes) {
        ASSERT_EQ(at(acc, place), at(before, place)) << "beyond the inputs";
        continue;
      }
      double sum = double{at(before, place)}, magnitude = std::abs(sum);
      for (int64_t p = 0; p < rows * pixels; ++p) {
        const double product = channel(dy, out, p) * channel(x, in, p);
        sum += product;
        magnitude += std::abs(product);
      }
      ASSERT_NEAR(at(acc, place), sum, tolerance_of(magnitude)) << "output " << out << ", input " << in;
    }
}

TEST_F(Pairs, OuterMatchesTheLoop) {
  for (int outputs = 1; outputs <= 3; ++outputs)
    for (int inputs = 1; inputs <= 5; ++inputs)
      for (const int64_t pixels : {1, 2, 7, 33}) expect_pair_outer(kernels_, outputs, inputs, 3, pixels);
  expect_pair_outer(kernels_, 2, 3, 1, 301);
  expect_pair_outer(kernels_, 1, 1, 40, 15);
}

}  // namespace
}  // namespace marrow::train::native
