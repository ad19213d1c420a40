// What is finished on the way: moments of an output, the sums of a gradient, and where both are stored.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "marrow/graph/operation.h"
#include "support.h"

namespace marrow::train::native {
namespace {

const std::vector<int64_t> kPixels = {1, 2, 5, 31, 32, 33, 67, 400};

// Of one lane, in double.
struct Moments {
  double mean = 0, squares = 0;

  Moments(const Floats& x, int64_t lane, int64_t lanes) {
    const auto count = static_cast<double>(x.size()) / static_cast<double>(lanes);
    for (auto i = static_cast<size_t>(lane); i < x.size(); i += static_cast<size_t>(lanes))
      mean += x[i] / count;
    for (auto i = static_cast<size_t>(lane); i < x.size(); i += static_cast<size_t>(lanes))
      squares += (x[i] - mean) * (x[i] - mean);
  }
};

void expect_moments(const Kernels& kernels, const Floats& x, bool streamed, bool in_place) {
  const int64_t lanes = kernels.lanes, pixels = static_cast<int64_t>(x.size()) / lanes;
  std::vector<double> mean(static_cast<size_t>(lanes), 99.), squares = mean;
  Floats src = x, dst(x.size());
  kernels.finish(
      {src.data(), in_place ? src.data() : dst.data(), streamed, pixels, mean.data(), squares.data()});
  ASSERT_EQ(in_place ? src : dst, x);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const Moments wanted(x, lane, lanes);
    // The mean is a float's mean, corrected by what deviations leave.
    EXPECT_NEAR(
        at(mean, lane), wanted.mean,
        1e-7 * std::sqrt(wanted.squares / static_cast<double>(pixels)) + 1e-15 * std::abs(wanted.mean));
    // Of equal numbers, `wanted` is what double precision leaves.
    EXPECT_NEAR(at(squares, lane), wanted.squares, 1e-6 * wanted.squares + 1e-28 * wanted.mean * wanted.mean)
        << pixels << " pixels, lane " << lane;
  }
}

TEST(Moments, MatchDoublePrecision) {
  at_every_level([](const Kernels& kernels) {
    for (const int64_t pixels : kPixels)
      for (const bool streamed : {false, true})
        for (const bool in_place : {false, true})
          expect_moments(kernels, normals(pixels * kernels.lanes, "x"), streamed, in_place);
  });
}

// Squares of numbers would cancel here to the last digit.
TEST(Moments, SurviveALargeMeanWithATinyVariance) {
  at_every_level([](const Kernels& kernels) {
    for (const int64_t pixels : {33, 6400})
      for (const float mean : {1e3f, -1e5f}) {
        Floats x = normals(pixels * kernels.lanes, "x", 4e-7 * std::abs(mean));
        for (float& each : x) each += mean;
        expect_moments(kernels, x, false, false);
      }
    // The first pixel is far from all others.
    Floats x = normals(100 * kernels.lanes, "x");
    for (int64_t lane = 0; lane < kernels.lanes; ++lane) at(x, lane) = 1e6f;
    expect_moments(kernels, x, false, false);
    expect_moments(kernels, Floats(static_cast<size_t>(40 * kernels.lanes), 0.1f), false, false);
  });
}

TEST(Moments, OfNumbersThatAreNoneAreNone) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes;
    for (const float broken :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Floats x = normals(9 * lanes, "x");
      at(x, 5 * lanes + 1) = broken;
      std::vector<double> mean(static_cast<size_t>(lanes)), squares = mean;
      Floats dst(x.size());
      kernels.finish({x.data(), dst.data(), false, 9, mean.data(), squares.data()});
      EXPECT_FALSE(std::isfinite(mean[1]));
      EXPECT_FALSE(std::isfinite(squares[1]));
      EXPECT_TRUE(std::isfinite(mean[0]) && std::isfinite(squares[0]));
    }
  });
}

struct GradientCase {
  int64_t lanes, pixels;
  Floats dz, y, scale, shift, centre, before;

  GradientCase(const Kernels& kernels, int64_t p)
      : lanes(kernels.lanes),
        pixels(p),
        dz(normals(p * lanes, "dz")),
        y(normals(p * lanes, "y")),
        scale(normals(lanes, "scale")),
        shift(normals(lanes, "shift")),
        centre(normals(lanes, "centre")),
        before(normals(p * lanes, "before")) {}
};

TEST(Gradients, AreStoredOrAddedAndSummed) {
  // LeakyReLU's slopes need no tolerance; a vector's activation is tested by its values.
  constexpr float kSlope = 0.25f;
  at_every_level([](const Kernels& kernels) {
    for (const int64_t pixels : kPixels)
      for (const bool adds : {false, true})
        for (const bool streamed : {false, true})
          for (const bool in_place : {false, true}) {
            const GradientCase c(kernels, pixels);
            std::vector<double> sums(static_cast<size_t>(c.lanes), 3.), products(sums.size(), -5.);
            Floats dn = in_place ? c.dz : c.before;
            kernels.finish_gradient[static_cast<size_t>(ActivationKind::kLeakyRelu)](
                {in_place ? dn.data() : c.dz.data(), c.y.data(), c.scale.data(), c.shift.data(),
                 c.centre.data(), kSlope, dn.data(), adds, streamed, pixels, sums.data(), products.data()});
            for (int64_t lane = 0; lane < c.lanes; ++lane) {
              double sum = 3, product = -5, magnitude = 0;
              for (int64_t i = lane; i < pixels * c.lanes; i += c.lanes) {
                const double n = double{at(c.y, i)} * at(c.scale, lane) + at(c.shift, lane);
                const double gradient = at(c.dz, i) * (n > 0 ? 1. : double{kSlope});
                sum += gradient;
                product += gradient * (double{at(c.y, i)} - at(c.centre, lane));
                magnitude += std::abs(gradient) * (1 + std::abs(double{at(c.y, i)} - at(c.centre, lane)));
                const double there = in_place ? at(c.dz, i) : at(c.before, i);
                ASSERT_NEAR(at(dn, i), gradient + (adds ? there : 0.), 5e-7 * (1 + std::abs(there)));
              }
              ASSERT_NEAR(at(sums, lane), sum, 3e-7 * magnitude);
              ASSERT_NEAR(at(products, lane), product, 3e-7 * magnitude);
            }
          }
  });
}

// Sums of many pixels are no less exact than of few.
TEST(Gradients, OfManyPixelsAreSummedExactly) {
  at_every_level([](const Kernels& kernels) {
    const int64_t pixels = 25600, lanes = kernels.lanes;
    const Floats dz(static_cast<size_t>(pixels * lanes), 0.1f), ones(static_cast<size_t>(lanes), 1.f);
    std::vector<double> sums(static_cast<size_t>(lanes));
    Floats dn(dz.size());
    kernels.finish_gradient[static_cast<size_t>(ActivationKind::kIdentity)](
        {dz.data(), dz.data(), ones.data(), ones.data(), nullptr, 0, dn.data(), false, false, pixels,
         sums.data(), nullptr});
    for (const double sum : sums) EXPECT_NEAR(sum / static_cast<double>(pixels), 0.1f, 1e-6);
  });
}

TEST(Gradients, OfABatchNormsInputAreMade) {
  at_every_level([](const Kernels& kernels) {
    for (const int64_t pixels : kPixels) {
      const GradientCase c(kernels, pixels);
      Floats dst(c.dz.size());
      kernels.prepare_gradient({c.dz.data(), c.y.data(), c.scale.data(), c.shift.data(), c.centre.data(),
                                c.before.data(), dst.data(), pixels});
      for (int64_t i = 0; i < pixels * c.lanes; ++i) {
        const int64_t lane = i % c.lanes;
        const double wanted = double{at(c.scale, lane)} * at(c.dz, i) +
                              at(c.shift, lane) * (double{at(c.y, i)} - at(c.centre, lane)) +
                              at(c.before, lane);
        ASSERT_NEAR(at(dst, i), wanted, 1e-6 * (1 + std::abs(wanted)));
      }
    }
  });
}

}  // namespace
}  // namespace marrow::train::native
