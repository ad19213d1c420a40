// Vector kernels against their plain twins where whole networks would hide an error: number by number, over
// the whole range of arguments.
#include "marrow/engine/kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "marrow/base/random.h"

namespace marrow::engine {
namespace {

std::vector<const Kernels*> vector_kernels() {
  std::vector<const Kernels*> all;
  for (const cpu::SimdLevel level : cpu::available_simd_levels())
    if (level != cpu::SimdLevel::kPlain) all.push_back(&kernels_of(level));
  return all;
}

// Dense where functions bend, every magnitude down to 1e-12, and far into both tails.
std::vector<float> arguments() {
  std::vector<float> x = {0.f, 3.f, -3.f, 6.f, 20.f, -20.f, 87.f, -87.f, 88.f, 200.f, -200.f};
  for (int i = -12000; i <= 12000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  for (int i = -1000; i <= 1000; ++i) x.push_back(static_cast<float>(i) * 0.1f);
  for (float magnitude = 1e-12f; magnitude < 10; magnitude *= 1.37f) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  return x;
}

TEST(Kernels, FunctionsAreRightToOneInAMillionEverywhere) {
  const std::vector<float> x = arguments();
  const Kernels& plain = kernels_of(cpu::SimdLevel::kPlain);
  for (const Kernels* kernels : vector_kernels())
    for (size_t kind = 0; kind < kUnaryKinds; ++kind) {
      std::vector<float> wanted(x.size());
      std::vector<float> found(x.size());
      plain.unary[kind](x.data(), wanted.data(), static_cast<int64_t>(x.size()), 0.3f);
      kernels->unary[kind](x.data(), found.data(), static_cast<int64_t>(x.size()), 0.3f);
      for (size_t i = 0; i < x.size(); ++i)  // 1e-34: below exp(-80), where exponents are cut off
        ASSERT_NEAR(found[i], wanted[i], 1e-6 * std::abs(double{wanted[i]}) + 1e-34)
            << cpu::simd_name(kernels->level) << ", kind " << kind << ", x = " << x[i];
    }
}

// In place, and each number alike wherever it stands.
TEST(Kernels, FunctionsTakeAnyCountAndLeaveTheRestAlone) {
  constexpr int kMost = 1100;
  std::vector<int> counts = {255, 256, 257, 511, 512, 513, 519, 1024, 1031};
  for (int count = 0; count < 40; ++count) counts.push_back(count);
  for (const Kernels* kernels : vector_kernels())
    for (size_t kind = 1; kind < kUnaryKinds; ++kind) {
      float wanted = -2.f;
      kernels->unary[kind](&wanted, &wanted, 1, 0.3f);
      for (const int count : counts) {
        std::vector<float> values(kMost, -2.f);
        kernels->unary[kind](values.data(), values.data(), count, 0.3f);
        for (int i = 0; i < kMost; ++i)
          ASSERT_EQ(values[static_cast<size_t>(i)], i < count ? wanted : -2.f)
              << cpu::simd_name(kernels->level) << ", kind " << kind << ", " << i << " of " << count;
      }
    }
}

TEST(Kernels, DotsAndSumsMatchDoublePrecision) {
  Random random(1, "dot");
  for (const Kernels* kernels : vector_kernels())
    for (const int count : {1, 3, 15, 16, 17, 63, 64, 65, 1280}) {
      std::vector<float> a(static_cast<size_t>(count));
      std::vector<float> b(static_cast<size_t>(count));
      double wanted = 0;
      double magnitude = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        a[i] = static_cast<float>(random.normal());
        b[i] = static_cast<float>(random.normal());
        wanted += double{a[i]} * double{b[i]};
        magnitude += std::abs(double{a[i]} * double{b[i]});
      }
      EXPECT_NEAR(kernels->dot(a.data(), b.data(), count), wanted, 1e-6 * magnitude) << count;

      const int lanes = kernels->lanes;
      std::vector<float> pixels(static_cast<size_t>(count * lanes), 0.25f);
      std::vector<float> sums(static_cast<size_t>(lanes));
      kernels->sum_lanes(pixels.data(), count * lanes, sums.data());
      for (const float sum : sums) EXPECT_EQ(sum, 0.25f * static_cast<float>(count));
    }
}

std::vector<float> normals(Random& random, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

// [tile][block][pixel][lane], and what a tile makes of it, with a plain loop.
struct PackedCase {
  const Kernels& kernels;
  int pixels, halves, channels, tiles;
  int64_t width, blocks, dst_block;
  std::vector<float> src, weights, bias, dst;

  PackedCase(const Kernels& k, int pixels_, int halves_, int channels_, int tiles_)
      : kernels(k), pixels(pixels_), halves(halves_), channels(channels_), tiles(tiles_) {
    const int64_t lanes = k.lanes;
    width = (halves + 1) / 2 * lanes;
    blocks = (channels + lanes - 1) / lanes;
    dst_block = (int64_t{pixels} * tiles + 3) * lanes;
    Random random(1, "packed");
    src = normals(random, tiles * blocks * pixels * lanes);
    weights = normals(random, channels * width);
    bias = normals(random, width);
    dst = normals(random, 2 * dst_block);
    // The outputs of a half block stand twice.
    if (halves % 2 == 1)
      for (int64_t row = 0; row <= channels; ++row) {
        float* last = (row < channels ? weights.data() + row * width : bias.data()) + width - lanes;
        std::copy_n(last, lanes / 2, last + lanes / 2);
      }
  }
  PackedOperand operand() const {
    return {src.data(), tiles, channels, weights.data(), weights.data(), weights.data() + weights.size(), 2};
  }
  int64_t at(int64_t pixel, int64_t out) const {
    return out / kernels.lanes * dst_block + pixel * kernels.lanes + out % kernels.lanes;
  }
  double sum(int64_t pixel, int64_t out) const {
    double total = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t block = pixel / pixels * blocks + c / kernels.lanes;
      const int64_t x = (block * pixels + pixel % pixels) * kernels.lanes + c % kernels.lanes;
      total += double{src[static_cast<size_t>(x)]} * double{weights[static_cast<size_t>(c * width + out)]};
    }
    return total;
  }
  // Calls check(found, pixel, output) for all that are defined.
  template <class Check>
  void each(const std::vector<float>& found, const Check& check) const {
    const int64_t outputs = halves * kernels.lanes / 2;
    for (int64_t pixel = 0; pixel < int64_t{pixels} * tiles; ++pixel)
      for (int64_t out = 0; out < outputs; ++out)
        check(found[static_cast<size_t>(at(pixel, out))], pixel, out);
  }
};

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> all = vector_kernels();
  all.push_back(&kernels_of(cpu::SimdLevel::kPlain));
  return all;
}

TEST(Kernels, PackedTilesMatchDoublePrecision) {
  for (const Kernels* kernels : all_kernels())
    for (int pixels = 1; pixels <= kernels->tile_pixels; ++pixels)
      for (int halves = kernels->half_blocks ? 1 : 2; halves <= kMaxTileHalves;
           halves += kernels->half_blocks ? 1 : 2)
        for (const int channels : {1, 7, 8, 16, 37}) {
          SCOPED_TRACE(::testing::Message() << cpu::simd_name(kernels->level) << ", " << pixels << " pixels, "
                                            << halves << " halves, " << channels << " channels");
          const PackedCase c(*kernels, pixels, halves, channels, 3);
          const double tolerance = 1e-6 * (channels + 8);
          const auto tile =
              kernels->packed_tile[static_cast<size_t>(halves - 1)][static_cast<size_t>(pixels - 1)];
          std::vector<float> found = c.dst;
          tile({c.operand(), c.bias.data(), found.data(), c.dst_block});
          c.each(found, [&](float value, int64_t pixel, int64_t out) {
            ASSERT_NEAR(value, double{c.bias[static_cast<size_t>(out)]} + c.sum(pixel, out), tolerance);
          });
          found = c.dst;
          tile({c.operand(), nullptr, found.data(), c.dst_block});
          c.each(found, [&](float value, int64_t pixel, int64_t out) {
            ASSERT_NEAR(value, double{c.dst[static_cast<size_t>(c.at(pixel, out))]} + c.sum(pixel, out),
                        tolerance);
          });
        }
}

TEST(Kernels, PackedTilesAddToSeveralResults) {
  for (const Kernels* kernels : all_kernels())
    for (int pixels = 1; pixels <= kernels->tile_pixels; ++pixels)
      for (const int vectors : {1, 2})
        for (const int channels : {8, 48}) {
          const PackedCase c(*kernels, pixels, 2 * vectors, channels, 2);
          std::vector<float> begun = c.dst, added = c.dst, third = c.dst, fourth = c.dst;
          kernels->add_packed_tile[static_cast<size_t>(vectors - 1)][static_cast<size_t>(pixels - 1)](
              {c.operand(),
               {{{begun.data(), 1, c.bias.data()},
                 {added.data(), -1, nullptr},
                 {third.data(), -1, nullptr},
                 {fourth.data(), 1, c.bias.data()}}},
               4,
               c.dst_block});
          EXPECT_EQ(third, added);
          EXPECT_EQ(fourth, begun);
          const double tolerance = 1e-6 * (channels + 8);
          c.each(begun, [&](float value, int64_t pixel, int64_t out) {
            ASSERT_NEAR(value, double{c.bias[static_cast<size_t>(out)]} + c.sum(pixel, out), tolerance);
          });
          c.each(added, [&](float value, int64_t pixel, int64_t out) {
            ASSERT_NEAR(value, double{c.dst[static_cast<size_t>(c.at(pixel, out))]} - c.sum(pixel, out),
                        tolerance);
          });
        }
}

TEST(Kernels, PixelsArePackedAndAdded) {
  Random random(1, "pack");
  for (const Kernels* kernels : all_kernels())
    for (const int pixels : {1, 5, kernels->tile_pixels}) {
      const int64_t lanes = kernels->lanes, blocks = 3, step = 20 * lanes;
      std::vector<std::vector<float>> sources;
      PackPixelsArgs args{{}, {1, -1, -1, 1}, 0, step, blocks, pixels, nullptr};
      for (auto& src : args.src) src = sources.emplace_back(normals(random, blocks * step)).data();
      for (const int count : {1, 2, 4}) {
        std::vector<float> dst(static_cast<size_t>(blocks * pixels * lanes));
        args.count = count;
        args.dst = dst.data();
        kernels->pack_pixels(args);
        for (int64_t block = 0; block < blocks; ++block)
          for (int64_t i = 0; i < pixels * lanes; ++i) {
            float wanted = 0;
            for (size_t s = 0; s < static_cast<size_t>(count); ++s)
              wanted += args.factor[s] * sources[s][static_cast<size_t>(block * step + i)];
            ASSERT_EQ(dst[static_cast<size_t>(block * pixels * lanes + i)], wanted);
          }
      }
    }
}

TEST(Kernels, WinogradTransformsWeightsOfAnyOutputs) {
  constexpr int kInputs = 3, kMostClasses = 36;
  Random random(1, "weights");
  for (const Kernels* kernels : vector_kernels())
    for (size_t form = 0; form < kernels->winograd.size(); ++form)
      for (const int blocks : {1, 2}) {
        const int count = blocks * kernels->lanes;
        const std::vector<float> weights = normals(random, int64_t{count} * kInputs * 9);
        std::vector<const float*> begins;
        for (int i = 0; i < count; ++i)  // some are missing, and some stand twice
          begins.push_back(i % 5 == 4 ? nullptr : weights.data() + i / 2 * kInputs * 9);
        const int64_t step = count + kernels->lanes;
        Tensor wanted_tensor({kMostClasses * step}), found_tensor({kMostClasses * step});
        const std::span<float> wanted = wanted_tensor.values(), found = found_tensor.values();
        std::ranges::fill(wanted, -7);
        std::ranges::fill(found, -7);
        WinogradWeightArgs args{begins.data(), 2 * 9, count, wanted.data(), step};
        kernels_of(cpu::SimdLevel::kPlain).winograd[form].weights(args);
        args.dst = found.data();
        kernels->winograd[form].weights(args);
        for (size_t i = 0; i < wanted.size(); ++i)
          ASSERT_NEAR(found[i], wanted[i], 1e-7 * (1 + std::abs(wanted[i])))
              << cpu::simd_name(kernels->level) << ", form " << form << ", number " << i;
      }
}

TEST(Kernels, BlocksBecomeRows) {
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    const Kernels& kernels = kernels_of(level);
    for (const int64_t pixels : {1, 7, 16, 17, 45})
      for (const int64_t rows : {int64_t{1}, int64_t{kernels.lanes} - 1, int64_t{kernels.lanes}}) {
        std::vector<float> src(static_cast<size_t>(pixels * kernels.lanes));
        for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<float>(i);
        std::vector<float> dst(static_cast<size_t>((rows + 1) * (pixels + 1)), -1.f);
        kernels.block_to_rows(src.data(), pixels, rows, dst.data(), pixels + 1);
        for (int64_t row = 0; row <= rows; ++row)
          for (int64_t p = 0; p <= pixels; ++p)
            ASSERT_EQ(dst[static_cast<size_t>(row * (pixels + 1) + p)],
                      row < rows && p < pixels ? static_cast<float>(p * kernels.lanes + row) : -1.f)
                << cpu::simd_name(level) << " row " << row << " pixel " << p;
      }
  }
}

// Large values overflow exp() unless the largest is subtracted first.
TEST(Kernels, DistributionsOfLargeValuesDecode) {
  constexpr int kBins = 16;
  constexpr int kStride = 32;
  std::vector<float> bins(kBins);
  for (int b = 0; b < kBins; ++b) bins[static_cast<size_t>(b)] = static_cast<float>(b);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    std::vector<float> x(kBins * kStride, -300.f);
    for (int i = 0; i < kStride; ++i) x[static_cast<size_t>(i % kBins * kStride + i)] = 300.f;
    std::vector<float> distance(kStride);
    kernels_of(level).dfl({x.data(), kStride, kBins, bins.data(), distance.data(), 20});
    for (int i = 0; i < 20; ++i) EXPECT_NEAR(distance[static_cast<size_t>(i)], i % kBins, 1e-6);
  }
}

}  // namespace
}  // namespace marrow::engine
