// Activations made again, and their slopes: against double precision over the whole range of arguments.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "marrow/graph/operation.h"
#include "support.h"

namespace marrow::train::native {
namespace {

constexpr double kParameter = 0.3;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

double activation(ActivationKind kind, double x) {
  const double sigmoid = 1 / (1 + std::exp(-x));
  switch (kind) {
    case ActivationKind::kIdentity:
      return x;
    case ActivationKind::kRelu:
      return std::max(x, 0.0);
    case ActivationKind::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case ActivationKind::kLeakyRelu:
      return x > 0 ? x : kParameter * x;
    case ActivationKind::kSilu:
      return x * sigmoid;
    case ActivationKind::kHardSwish:
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case ActivationKind::kHardSigmoid:
      return std::clamp(x + 3, 0.0, 6.0) / 6;
    case ActivationKind::kSigmoid:
      return sigmoid;
    case ActivationKind::kTanh:
      return std::tanh(x);
    case ActivationKind::kGelu:
      return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case ActivationKind::kMish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case ActivationKind::kElu:
      return x > 0 ? x : kParameter * std::expm1(x);
  }
  return 0;
}

// By differences of the fourth order; right to 1e-11 where there is no kink within 2e-3.
double slope(ActivationKind kind, double x) {
  constexpr double kStep = 1e-3;
  const auto difference = [&](double h) { return activation(kind, x + h) - activation(kind, x - h); };
  return (8 * difference(kStep) - difference(2 * kStep)) / (12 * kStep);
}

bool is_near_kink(double x) {
  return std::ranges::any_of(std::vector{-3., 0., 3., 6.},
                             [&](double kink) { return std::abs(x - kink) < 2.5e-3; });
}

// Whole vectors: each argument in every lane.
Floats in_all_lanes(const std::vector<float>& x, int lanes) {
  Floats values;
  for (const float each : x) values.insert(values.end(), static_cast<size_t>(lanes), each);
  return values;
}

std::vector<float> arguments() {
  std::vector<float> x = {0.f, 3.f, -3.f, 6.f, 20.f, -20.f, 50.f, -50.f, 87.f, -87.f, 100.f, -100.f};
  for (int i = -1500; i <= 1500; ++i) x.push_back(static_cast<float>(i) * 8.3e-3f);
  for (float magnitude = 1e-12f; magnitude < 10; magnitude *= 1.7f) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  return x;
}

// With scale 1 and shift 0; products are not wanted.
struct Slopes {
  Floats found;
  std::vector<double> sums;

  Slopes(const Kernels& kernels, size_t kind, const Floats& x, const Floats& dz) : found(x.size()) {
    const auto lanes = static_cast<size_t>(kernels.lanes);
    sums.resize(lanes);
    const Floats one(lanes, 1.f), zero(lanes);
    kernels.finish_gradient[kind]({dz.data(), x.data(), one.data(), zero.data(), nullptr,
                                   static_cast<float>(kParameter), found.data(), false, false,
                                   static_cast<int64_t>(x.size() / lanes), sums.data(), nullptr});
  }
};

Floats prepared(const Kernels& kernels, size_t kind, const Floats& x, float scale = 1, float shift = 0) {
  const auto lanes = static_cast<size_t>(kernels.lanes);
  const Floats scales(lanes, scale), shifts(lanes, shift);
  Floats found(x.size());
  kernels.prepare[kind]({x.data(), scales.data(), shifts.data(), static_cast<float>(kParameter), found.data(),
                         static_cast<int64_t>(x.size() / lanes)});
  return found;
}

template <class Check>
void each_kind(const Check& check) {
  for (size_t kind = 0; kind < kActivationKinds; ++kind) {
    SCOPED_TRACE(activation_name(static_cast<ActivationKind>(kind)));
    check(kind, static_cast<ActivationKind>(kind));
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(Activations, AreMadeAgainFromWhatIsStored) {
  at_every_level([](const Kernels& kernels) {
    const Floats x = in_all_lanes(arguments(), kernels.lanes);
    each_kind([&](size_t kind, ActivationKind name) {
      const Floats found = prepared(kernels, kind, x);
      for (size_t i = 0; i < x.size(); ++i) {
        const double wanted = activation(name, x[i]);
        // GELU multiplies two powers and a polynomial. Below exp(-80) powers are cut off.
        const double relative = name == ActivationKind::kGelu ? 8e-7 : 4e-7;
        ASSERT_NEAR(found[i], wanted, relative * std::abs(wanted) + 1e-34) << x[i];
      }
    });
  });
}

TEST(Activations, TakeEveryLanesScaleAndShift) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes;
    const Floats scale = normals(lanes, "scale"), shift = normals(lanes, "shift");
    for (const int64_t pixels : {1, 3, 31, 32, 33, 70})
      each_kind([&](size_t kind, ActivationKind name) {
        Floats x = normals(pixels * lanes, "x");
        const Floats stored = x;
        x.push_back(7.f);
        kernels.prepare[kind](
            {x.data(), scale.data(), shift.data(), static_cast<float>(kParameter), x.data(), pixels});
        for (int64_t i = 0; i < pixels * lanes; ++i) {
          const double n = double{at(stored, i)} * at(scale, i % lanes) + at(shift, i % lanes);
          // The sum is rounded, and twice without fused multiply-adds.
          ASSERT_NEAR(at(x, i), activation(name, n), 1e-6 * (1 + std::abs(n))) << i << " of " << pixels;
        }
        ASSERT_EQ(x.back(), 7.f);
      });
  });
}

TEST(Activations, SlopesMatchDifferences) {
  at_every_level([](const Kernels& kernels) {
    std::vector<float> points;
    for (const float x : arguments())
      if (!is_near_kink(x)) points.push_back(x);
    const Floats x = in_all_lanes(points, kernels.lanes);
    const Floats dz(x.size(), -2.f);
    each_kind([&](size_t kind, ActivationKind name) {
      const Slopes slopes(kernels, kind, x, dz);
      for (size_t i = 0; i < x.size(); ++i) {
        const double wanted = slope(name, x[i]);
        // x g(x) has the slope g + x g', two terms that may cancel.
        const double g =
            name == ActivationKind::kSigmoid || x[i] == 0 ? wanted : activation(name, x[i]) / x[i];
        const double scale = std::abs(g) + std::abs(wanted - g);
        ASSERT_NEAR(slopes.found[i] / -2, wanted, 4e-7 * scale + 1e-11) << x[i];
      }
    });
  });
}

TEST(Activations, SlopesVanishAsTheyShouldInTheTails) {
  at_every_level([](const Kernels& kernels) {
    const Floats x = in_all_lanes({-30.f, 30.f}, kernels.lanes), dz(x.size(), 1.f);
    const auto expect_both = [&](ActivationKind kind, double wanted) {
      for (const float found : Slopes(kernels, static_cast<size_t>(kind), x, dz).found)
        EXPECT_NEAR(found, wanted, 1e-6 * wanted);
    };
    expect_both(ActivationKind::kSigmoid, std::exp(-30.));
    expect_both(ActivationKind::kTanh, 4 * std::exp(-60.));
  });
}

// LibTorch's: 0 at both ends of relu6 and of hardsigmoid; hardswish rises at -3 by its inner formula.
TEST(Activations, SlopesAtKinksAreLibTorchs) {
  const std::vector<float> points = {-3, 0, 3, 6};
  const std::vector<std::pair<ActivationKind, std::vector<double>>> wanted = {
      {ActivationKind::kRelu, {0, 0, 1, 1}},
      {ActivationKind::kRelu6, {0, 0, 1, 0}},
      {ActivationKind::kLeakyRelu, {kParameter, kParameter, 1, 1}},
      {ActivationKind::kHardSwish, {-0.5, 0.5, 1, 1}},
      {ActivationKind::kHardSigmoid, {0, 1. / 6, 0, 0}},
      {ActivationKind::kElu, {kParameter * std::exp(-3.), kParameter, 1, 1}}};
  at_every_level([&](const Kernels& kernels) {
    const Floats x = in_all_lanes(points, kernels.lanes), dz(x.size(), 1.f);
    for (const auto& [kind, slopes] : wanted) {
      const Floats found = Slopes(kernels, static_cast<size_t>(kind), x, dz).found;
      for (size_t i = 0; i < x.size(); ++i)
        EXPECT_NEAR(found[i], slopes[i / static_cast<size_t>(kernels.lanes)], 2e-7)
            << activation_name(kind) << " at " << x[i];
    }
  });
}

TEST(Activations, AreFiniteFarOutAndSurviveWhatIsNot) {
  at_every_level([](const Kernels& kernels) {
    const auto lanes = static_cast<size_t>(kernels.lanes);
    const Floats far = in_all_lanes({100.f, -100.f, 1e6f, -1e6f, 1e15f, -1e15f}, kernels.lanes);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Floats broken = in_all_lanes({kInfinity, -kInfinity, nan, 1.f}, kernels.lanes);
    each_kind([&](size_t kind, ActivationKind name) {
      const Floats values = prepared(kernels, kind, far);
      const Floats slopes = Slopes(kernels, kind, far, Floats(far.size(), 1.f)).found;
      for (size_t i = 0; i < far.size(); ++i) {
        const double wanted = activation(name, far[i]);
        ASSERT_NEAR(values[i], wanted, 1e-6 * std::abs(wanted) + 1e-20) << far[i];
        ASSERT_LE(std::abs(slopes[i]), 1.2) << far[i];
      }
      // What is beside a number that is none is not touched by it.
      const Floats beside = prepared(kernels, kind, broken);
      const Slopes gradient(kernels, kind, broken, Floats(broken.size(), 1.f));
      for (size_t i = broken.size() - lanes; i < broken.size(); ++i) {
        ASSERT_NEAR(beside[i], activation(name, 1.), 1e-6);
        ASSERT_NEAR(gradient.found[i], slope(name, 1.), 1e-6);
      }
    });
  });
}

}  // namespace
}  // namespace marrow::train::native
