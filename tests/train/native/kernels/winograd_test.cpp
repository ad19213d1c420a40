// Winograd's transforms of weights and gradients: by the matrices in double, and whole weight gradients by
// the definition of a convolution.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "marrow/engine/kernels/winograd_points.h"
#include "support.h"

namespace marrow::train::native {
namespace {

using engine::winograd::kTile;
using engine::winograd::Unit;
constexpr int kProducts = Unit::kProducts * Unit::kProducts;

TEST(WinogradGradient, CountsWhatLiesOutsideAsZeros) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes;
    constexpr int kColumns = 12;
    const int64_t row = kColumns * lanes;
    // Outside the map lies what would spoil the sums.
    const Floats map = normals(kTile * row, "dy");
    for (int rows = 1; rows <= kTile; ++rows)
      for (int columns = 1; columns <= 11; ++columns) {
        const int tiles = (columns + kTile - 1) / kTile;
        Floats src(map.size(), std::nanf(""));
        for (int y = 0; y < rows; ++y)
          std::copy_n(map.begin() + y * row, columns * lanes, src.begin() + y * row);
        const int64_t step = (tiles + 1) * lanes;
        Floats dst(static_cast<size_t>(kProducts * step), 77.f);
        kernels.winograd_gradient({src.data(), row, rows, columns, tiles, dst.data(), step});
        for (int k = 0; k < kProducts; ++k)
          for (int64_t i = 0; i < step; ++i) {
            if (i >= tiles * lanes) {
              ASSERT_EQ(at(dst, k * step + i), 77.f);
              continue;
            }
            double wanted = 0;
            const int64_t first = i / lanes * kTile;
            for (int y = 0; y < rows; ++y)
              for (int x = 0; x < kTile && first + x < columns; ++x)
                wanted += Unit::kOutput[y][k / 6] * Unit::kOutput[x][k % 6] *
                          at(src, y * row + (first + x) * lanes + i % lanes);
            ASSERT_NEAR(at(dst, k * step + i), wanted, 2e-5) << rows << " x " << columns << ", product " << k;
          }
      }
  });
}

TEST(WinogradWeights, MatchTheMatrices) {
  at_every_level([](const Kernels& kernels) {
    const int64_t count = 5 * kernels.lanes;
    const Floats taps = normals(9 * (count + 3), "g");
    Floats found(static_cast<size_t>(kProducts * (count + 1)));
    kernels.winograd_weights({taps.data(), count + 3, found.data(), count + 1, count});
    for (int64_t i = 0; i < count; ++i) {
      float kernel[9];
      for (int tap = 0; tap < 9; ++tap) kernel[tap] = at(taps, tap * (count + 3) + i);
      const auto wanted = engine::winograd::transform_weights<Unit>(kernel);
      for (int k = 0; k < kProducts; ++k)
        ASSERT_NEAR(at(found, k * (count + 1) + i), wanted[static_cast<size_t>(k)], 1e-6) << k;
    }
  });
}

TEST(WinogradWeightGradient, TakesAnyCount) {
  at_every_level([](const Kernels& kernels) {
    for (const int64_t count : {1, 3, 4, 8, 15, 16, 17, 40, 41}) {
      const int64_t src_step = count + 2, dst_step = count + 1;
      const Floats sums = normals(kProducts * src_step, "sums");
      Floats taps(static_cast<size_t>(9 * dst_step), 77.f);
      kernels.winograd_weight_gradient({sums.data(), src_step, taps.data(), dst_step, count});
      for (int tap = 0; tap < 9; ++tap) {
        for (int64_t i = 0; i < count; ++i) {
          double wanted = 0;
          for (int k = 0; k < kProducts; ++k)
            wanted +=
                Unit::kWeight[k / 6][tap / 3] * Unit::kWeight[k % 6][tap % 3] * at(sums, k * src_step + i);
          ASSERT_NEAR(at(taps, tap * dst_step + i), wanted, 3e-6)
              << "tap " << tap << ", " << i << " of " << count;
        }
        ASSERT_EQ(at(taps, tap * dst_step + count), 77.f);
      }
    }
  });
}

// One tile and one channel of each side a lane: dW[y][x] = sum over p, q of dY[p][q] d[p + y][q + x].
TEST(WinogradWeightGradient, IsThatOfTheConvolution) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes;
    const Floats patch = normals(36 * lanes, "d"), dy = normals(16 * lanes, "dy");
    Floats transformed(static_cast<size_t>(kProducts * lanes)), gradients(transformed.size());
    engine::WinogradInputArgs<float> input{{}, 0, 6, 1, transformed.data(), lanes};
    for (size_t y = 0; y < 6; ++y) input.rows[y] = patch.data() + static_cast<int64_t>(y) * 6 * lanes;
    engine::kernels_of(kernels.level).winograd[0].input(input);
    kernels.winograd_gradient({dy.data(), kTile * lanes, kTile, kTile, 1, gradients.data(), lanes});
    Floats products(transformed.size());
    for (size_t i = 0; i < products.size(); ++i) products[i] = transformed[i] * gradients[i];
    Floats taps(static_cast<size_t>(9 * lanes));
    kernels.winograd_weight_gradient({products.data(), lanes, taps.data(), lanes, lanes});
    for (int64_t i = 0; i < 9 * lanes; ++i) {
      const int64_t tap = i / lanes, lane = i % lanes;
      double wanted = 0;
      for (int64_t p = 0; p < kTile; ++p)
        for (int64_t q = 0; q < kTile; ++q)
          wanted += double{at(dy, (p * kTile + q) * lanes + lane)} *
                    at(patch, ((p + tap / 3) * 6 + q + tap % 3) * lanes + lane);
      ASSERT_NEAR(at(taps, i), wanted, 3e-5) << "tap " << tap;
    }
  });
}

}  // namespace
}  // namespace marrow::train::native
