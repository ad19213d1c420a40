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

TEST(Kernels, FunctionsTakeAnyCountAndLeaveTheRestAlone) {
  for (const Kernels* kernels : vector_kernels())
    for (int count = 0; count < 40; ++count) {
      std::vector<float> values(48, -2.f);
      kernels->unary[static_cast<size_t>(1)](values.data(), values.data(), count, 0);
      for (int i = 0; i < 48; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], i < count ? 0.f : -2.f);
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
