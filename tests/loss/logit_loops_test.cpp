#include "marrow/loss/logit_loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "marrow/base/random.h"

namespace marrow::loss {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void expect_close(double found, double wanted, double relative) {
  EXPECT_NEAR(found, wanted, relative * std::abs(wanted));
}

class LogitLoopsOf : public ::testing::TestWithParam<cpu::SimdLevel> {
 protected:
  LogitLoops<float> loops_ = float_logit_loops(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Levels, LogitLoopsOf, ::testing::ValuesIn(cpu::available_simd_levels()),
                         [](const auto& level) { return std::string(cpu::simd_name(level.param)); });

// Far below 0, as a fresh head is, where 1 + e^x would be rounded; about 0; and above.
TEST_P(LogitLoopsOf, SoftplusMatchesItsDefinition) {
  for (const double middle : {-30.0, -11.5, 0.0, 8.0, 70.0})
    for (const double spread : {0.0, 4.0})
      for (const int64_t count : {0, 1, 7, 15, 33, 1000, 5003}) {
        SCOPED_TRACE(::testing::Message() << middle << " +- " << spread << ", " << count);
        Random random(static_cast<uint64_t>(count), "logits");
        std::vector<float> x(static_cast<size_t>(count)), gradient(x.size() + 1, 7);
        double wanted = 0;
        for (float& value : x) {
          value = static_cast<float>(middle + spread * random.normal());
          wanted += std::max<double>(value, 0) + std::log1p(std::exp(-std::abs(static_cast<double>(value))));
        }
        expect_close(loops_.softplus(x.data(), count, 0.25f, gradient.data()), wanted, 1e-6);
        expect_close(loops_.softplus(x.data(), count, 0.25f, nullptr), wanted, 1e-6);
        for (size_t i = 0; i < x.size(); ++i)
          expect_close(gradient[i], 0.25 / (1 + std::exp(-static_cast<double>(x[i]))), 5e-7);
        EXPECT_EQ(gradient.back(), 7);
        loops_.softplus(x.data(), count, 0.25f, x.data());
        EXPECT_TRUE(std::equal(x.begin(), x.end(), gradient.begin()));
      }
}

TEST_P(LogitLoopsOf, SoftplusKeepsWhatIsNotFinite) {
  for (const size_t place : {0, 31, 1000, 2005}) {
    std::vector<float> x(2006, -2), gradient(x.size());
    x[place] = NAN;
    EXPECT_TRUE(std::isnan(loops_.softplus(x.data(), std::ssize(x), 1, gradient.data()))) << place;
    for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(std::isnan(gradient[i]), i == place) << i;
    x[place] = kInfinity;
    EXPECT_EQ(loops_.softplus(x.data(), std::ssize(x), 1, gradient.data()), kInfinity);
    EXPECT_EQ(gradient[place], 1);
    x[place] = -kInfinity;
    expect_close(loops_.softplus(x.data(), std::ssize(x), 1, gradient.data()),
                 2005 * std::log1p(std::exp(-2)), 1e-6);
    EXPECT_EQ(gradient[place], 0);
  }
}

TEST_P(LogitLoopsOf, ExpectedMatchesItsDefinition) {
  for (const int bins : {2, 7, 16}) {
    constexpr int64_t kCount = 3 * kExpectedCount;
    Random random(static_cast<uint64_t>(bins), "logits");
    std::vector<float> x(static_cast<size_t>(bins * kCount)), found(kCount);
    for (float& value : x) value = static_cast<float>(10 * random.normal());
    x[5] = 3000;
    loops_.expected(x.data(), bins, kCount, found.data());
    for (int64_t i = 0; i < kCount; ++i) {
      double largest = -INFINITY, total = 0, weighted = 0;
      const auto at = [&](int b) { return static_cast<double>(x[static_cast<size_t>(b * kCount + i)]); };
      for (int b = 0; b < bins; ++b) largest = std::max(largest, at(b));
      for (int b = 0; b < bins; ++b) {
        total += std::exp(at(b) - largest);
        weighted += b * std::exp(at(b) - largest);
      }
      EXPECT_NEAR(found[static_cast<size_t>(i)], weighted / total, 2e-6) << i;
    }
  }
}

TEST_P(LogitLoopsOf, ExpectedIsNotANumberWhereALogitIsNot) {
  for (const float bad : {NAN, kInfinity})
    for (const int bin : {0, 1, 3}) {
      std::vector<float> x(4 * kExpectedCount, 1), found(kExpectedCount);
      x[static_cast<size_t>(bin * kExpectedCount + 2)] = bad;
      loops_.expected(x.data(), 4, kExpectedCount, found.data());
      for (int64_t i = 0; i < kExpectedCount; ++i)
        EXPECT_EQ(std::isnan(found[static_cast<size_t>(i)]), i == 2) << bin << " " << i;
    }
}

}  // namespace
}  // namespace marrow::loss
