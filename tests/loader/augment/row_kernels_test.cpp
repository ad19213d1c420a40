// The vector loops give the bytes of the plain ones.
#include "marrow/image/row_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/image/hsv.h"
#include "marrow/image/warp.h"
#include "marrow/loader/augment/flip.h"
#include "marrow/loader/augment/network_planes.h"

namespace marrow::loader {
namespace {

image::Image noise(int width, int height, uint64_t seed) {
  image::Image image(width, height);
  Random random(seed, "noise");
  for (size_t i = 0; i < image.byte_size(); ++i) image.row(0)[i] = static_cast<uint8_t>(random.below(256));
  return image;
}

image::HsvTables some_tables(uint64_t seed) {
  image::HsvTables tables{};
  Random random(seed, "tables");
  for (size_t i = 0; i < 256; ++i) {
    tables.h[i] = static_cast<int32_t>(random.below(180));
    tables.s[i] = static_cast<int32_t>(random.below(256));
    tables.v[i] = static_cast<int32_t>(random.below(256));
  }
  return tables;
}

// Every difference of channels in every order at every value: all that the conversion depends on.
TEST(RowKernels, EveryKindOfColourIsAdjustedAsByThePlainLoop) {
  const image::RowKernels kernels = image::row_kernels();
  if (kernels.adjust_hsv == nullptr)
    GTEST_SKIP() << "only AVX2 has such loops; this processor lacks it, or MARROW_SIMD forbids it";
  image::HsvTables identity{};
  for (int i = 0; i < 256; ++i) identity.h[static_cast<size_t>(i)] = i % 180;
  for (int i = 0; i < 256; ++i) identity.s[static_cast<size_t>(i)] = identity.v[static_cast<size_t>(i)] = i;
  std::vector<uint8_t> row, plain;
  for (int largest = 0; largest < 256; largest += 5)
    for (int smallest = 0; smallest <= largest; smallest += 3)
      for (int middle = smallest; middle <= largest; middle += 7)
        for (const auto& order :
             {std::array{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
          const int values[] = {smallest, middle, largest};
          for (const int k : order) row.push_back(static_cast<uint8_t>(values[k]));
        }
  row.resize(row.size() / 96 * 96);
  const int width = static_cast<int>(row.size() / 3);
  plain = row;
  EXPECT_EQ(kernels.adjust_hsv(row.data(), width, identity), width);
  image::adjust_hsv_row(plain.data(), width, identity);
  EXPECT_EQ(row, plain);
}

TEST(RowKernels, RandomColoursAndTables) {
  const image::RowKernels kernels = image::row_kernels();
  if (kernels.adjust_hsv == nullptr)
    GTEST_SKIP() << "only AVX2 has such loops; this processor lacks it, or MARROW_SIMD forbids it";
  for (uint64_t seed = 0; seed < 20; ++seed) {
    image::Image image = noise(4096, 16, seed), plain = image;
    const image::HsvTables tables = some_tables(seed);
    for (int y = 0; y < image.height(); ++y) {
      kernels.adjust_hsv(image.row(y), image.width(), tables);
      image::adjust_hsv_row(plain.row(y), plain.width(), tables);
    }
    EXPECT_TRUE(image == plain);
  }
}

TEST(RowKernels, LeaveWhatIsNotAWholeBlock) {
  const image::RowKernels kernels = image::row_kernels();
  if (kernels.adjust_hsv == nullptr)
    GTEST_SKIP() << "only AVX2 has such loops; this processor lacks it, or MARROW_SIMD forbids it";
  for (const int width : {0, 1, 31, 32, 33, 63, 64, 95}) {
    image::Image image = noise(100, 1, 1);
    const image::Image before = image;
    EXPECT_EQ(kernels.adjust_hsv(image.row(0), width, some_tables(1)), width / 32 * 32);
    for (int i = width / 32 * 96; i < 300; ++i) EXPECT_EQ(image.row(0)[i], before.row(0)[i]);
  }
}

TEST(RowKernels, PlanesAndMirrorsOfEveryWidth) {
  for (int width = 1; width < 100; ++width) {
    const image::Image image = noise(width, 2, static_cast<uint64_t>(width));
    const auto w = static_cast<size_t>(width);
    std::vector<uint8_t> rgb(w * 6), bgr(w * 6);
    to_planes(image, false, rgb.data());
    to_planes(image, true, bgr.data());
    image::Image mirrored = image;
    mirror_horizontally(mirrored);
    for (size_t y = 0; y < 2; ++y)
      for (size_t x = 0; x < w; ++x)
        for (size_t c = 0; c < 3; ++c) {
          const uint8_t value = image.row(static_cast<int>(y))[3 * x + c];
          ASSERT_EQ(bgr[(c * 2 + y) * w + x], value);
          ASSERT_EQ(rgb[((2 - c) * 2 + y) * w + x], value);
          ASSERT_EQ(mirrored.row(static_cast<int>(y))[3 * (w - 1 - x) + c], value);
        }
  }
}

// What warp_affine does, in the words of the specification.
image::Image plain_warp(const image::Image& src, const image::Matrix3& m, int width, int height) {
  const double d = 1.0 / (m[0] * m[4] - m[1] * m[3]);
  const double a0 = m[4] * d, a1 = -m[1] * d, a3 = -m[3] * d, a4 = m[0] * d;
  const double b0 = -a0 * m[2] - a1 * m[5], b1 = -a3 * m[2] - a4 * m[5];
  image::Image dst(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto fixed = [](double value) { return static_cast<int64_t>(std::nearbyint(value * 1024)); };
      const int64_t X = (fixed(a1 * y + b0) + 16 + fixed(a0 * x)) >> 5;
      const int64_t Y = (fixed(a4 * y + b1) + 16 + fixed(a3 * x)) >> 5;
      for (int c = 0; c < 3; ++c) {
        int64_t sum = 16384;
        for (int tap = 0; tap < 4; ++tap) {
          const int64_t sx = (X >> 5) + tap % 2, sy = (Y >> 5) + tap / 2;
          const int64_t fx = X & 31, fy = Y & 31;
          const int64_t weight = (tap % 2 != 0 ? fx : 32 - fx) * (tap / 2 != 0 ? fy : 32 - fy) * 32;
          const bool inside = sx >= 0 && sy >= 0 && sx < src.width() && sy < src.height();
          sum += weight * (inside ? src.row(static_cast<int>(sy))[3 * sx + c] : 114);
        }
        dst.row(y)[3 * x + c] = static_cast<uint8_t>(sum >> 15);
      }
    }
  return dst;
}

TEST(Warp, EqualsTheSpecificationOnAwkwardSizesAndMatrices) {
  Random random(3, "warps");
  for (const auto& [width, height] : {std::pair{1, 1}, {2, 2}, {1, 9}, {9, 1}, {3, 3}, {33, 17}, {64, 48}})
    for (int i = 0; i < 40; ++i) {
      const image::Image image = noise(width, height, static_cast<uint64_t>(i));
      const double scale = random.uniform(0.1, 4), angle = i % 3 == 0 ? 0 : random.uniform(-3.2, 3.2);
      const image::Matrix3 m = {scale * std::cos(angle),
                                scale * std::sin(angle),
                                random.uniform(-30, 30),
                                -scale * std::sin(angle),
                                scale * std::cos(angle),
                                random.uniform(-30, 30),
                                0,
                                0,
                                1};
      const int out_width = 1 + static_cast<int>(random.below(50)),
                out_height = 1 + static_cast<int>(random.below(50));
      image::Image warped(out_width, out_height);
      image::warp_affine(image.pixels(), m, warped.pixels(), 114);
      ASSERT_TRUE(warped == plain_warp(image, m, out_width, out_height))
          << width << "x" << height << " scale " << scale << " angle " << angle;
    }
}

TEST(Warp, PerspectiveWithoutPerspectiveIsNearlyTheAffineOne) {
  const image::Image image = noise(40, 30, 1);
  const image::Matrix3 m = {1.2, 0.1, -3, 0.05, 0.9, 4, 0, 0, 1};
  image::Image affine(40, 30), perspective(40, 30);
  image::warp_affine(image.pixels(), m, affine.pixels(), 114);
  image::warp_perspective(image.pixels(), m, perspective.pixels(), 114);
  int far = 0;
  for (size_t i = 0; i < affine.byte_size(); ++i)
    far += std::abs(affine.row(0)[i] - perspective.row(0)[i]) > 24;  // a 32nd of a pixel of noise, both ways
  EXPECT_EQ(far, 0);
}

TEST(Warp, HopelessMatricesStayInside) {
  const image::Image image = noise(8, 8, 1);
  // Every pixel is written, whatever stood there.
  const auto expect_whole = [&](const auto& warp, const image::Matrix3& m) {
    image::Image over_black(8, 8), over_white(8, 8);
    std::fill_n(over_black.row(0), over_black.byte_size(), uint8_t{0});
    std::fill_n(over_white.row(0), over_white.byte_size(), uint8_t{255});
    warp(image.pixels(), m, over_black.pixels(), 114);
    warp(image.pixels(), m, over_white.pixels(), 114);
    EXPECT_TRUE(over_black == over_white);
  };
  for (const double value : {0.0, 1e-300, 1e300, -1e18, std::nan(""), HUGE_VAL}) {
    image::Matrix3 m;
    m.fill(value);
    for (const image::Matrix3& matrix : {m, image::Matrix3{value, 0, 4, 0, value, 4, 0, 0, 1}}) {
      SCOPED_TRACE(value);
      expect_whole(image::warp_affine, matrix);
      expect_whole(image::warp_perspective, matrix);
    }
  }
}

}  // namespace
}  // namespace marrow::loader
