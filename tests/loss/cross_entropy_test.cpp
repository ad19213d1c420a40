#include "marrow/loss/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "marrow/base/error.h"

namespace marrow::loss {
namespace {

MapView<const double> row_view(const std::vector<double>& values, int64_t classes) {
  const int64_t images = std::ssize(values) / classes;
  return {values.data(), images, classes, 1, 1, 1, classes};
}

TEST(SoftCrossEntropy, IsTheMeanOfTheNegativeLogLikelihood) {
  const std::vector<double> logits = {1, 2, 4, 0.5, -1, 0};
  const Tensor targets = Tensor::from({2, 3}, std::vector<float>{0.125f, 0.25f, 0.625f, 1, 0, 0});
  const double first = std::log(std::exp(1) + std::exp(2) + std::exp(4)) - (0.125 + 0.25 * 2 + 0.625 * 4);
  const double second = std::log(std::exp(0.5) + std::exp(-1) + 1) - 0.5;
  EXPECT_NEAR(soft_cross_entropy(row_view(logits, 3), targets), (first + second) / 2, 1e-14);
}

TEST(SoftCrossEntropy, GradientMatchesFiniteDifferences) {
  std::vector<double> logits = {1, 2, 4, 0.5, -1, 0}, gradient(6);
  // The second row does not sum to 1.
  const Tensor targets = Tensor::from({2, 3}, std::vector<float>{0.125f, 0.25f, 0.625f, 0.5f, 0, 1});
  const MapView<double> to{gradient.data(), 2, 3, 1, 1, 1, 3};
  const double value = soft_cross_entropy(row_view(logits, 3), targets, &to, 8);
  EXPECT_DOUBLE_EQ(value, soft_cross_entropy(row_view(logits, 3), targets));
  for (size_t i = 0; i < logits.size(); ++i) {
    const double before = logits[i];
    logits[i] = before + 1e-6;
    const double above = soft_cross_entropy(row_view(logits, 3), targets);
    logits[i] = before - 1e-6;
    const double below = soft_cross_entropy(row_view(logits, 3), targets);
    logits[i] = before;
    EXPECT_NEAR(gradient[i], 8 * (above - below) / 2e-6, 1e-8) << i;
  }
}

// 3 classes in blocks of 8 lanes.
TEST(SoftCrossEntropy, LeavesSpareLanesAlone) {
  std::vector<float> logits(16, NAN), gradient(16, 7);
  for (const size_t image : {0, 1})
    for (size_t c = 0; c < 3; ++c) logits[8 * image + c] = static_cast<float>(image + c * c);
  const Tensor targets = Tensor::from({2, 3}, std::vector<float>{0, 1, 0, 1, 0, 0});
  const MapView<float> to{gradient.data(), 2, 3, 1, 1, 8, 8};
  const double found = soft_cross_entropy({logits.data(), 2, 3, 1, 1, 8, 8}, targets, &to);
  const double log_sum = std::log(1 + std::exp(1) + std::exp(4));
  EXPECT_NEAR(found, log_sum - 0.5, 1e-7);  // both rows alike but for what is wanted
  EXPECT_NEAR(gradient[8], (std::exp(-log_sum) - 1) / 2, 1e-7);
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(gradient[i] == 7, i % 8 >= 3) << i;
}

TEST(SoftCrossEntropy, AnExtremeLogitIsNoInfinity) {
  const Tensor targets = Tensor::from({1, 2}, std::vector<float>{0, 1});
  EXPECT_NEAR(soft_cross_entropy(row_view({1000, -1000}, 2), targets), 2000, 1e-9);
}

TEST(SoftCrossEntropy, IsNotANumberWhereALogitIsNot) {
  const Tensor targets = Tensor::from({1, 3}, std::vector<float>{0, 1, 0});
  for (size_t i = 0; i < 3; ++i) {
    std::vector<double> logits = {1, 2, 3};
    logits[i] = NAN;
    EXPECT_TRUE(std::isnan(soft_cross_entropy(row_view(logits, 3), targets))) << i;
  }
}

TEST(SoftCrossEntropy, RefusesShapesThatDoNotFit) {
  const std::vector<double> logits(6);
  EXPECT_THROW(soft_cross_entropy(row_view(logits, 3), Tensor({2, 2})), Error);
  EXPECT_THROW(soft_cross_entropy(row_view(logits, 3), Tensor({2, 3}, DType::kFloat64)), Error);
  const MapView<const double> wide{logits.data(), 1, 3, 1, 2, 1, 6};
  EXPECT_THROW(soft_cross_entropy(wide, Tensor({1, 3})), Error);
  std::vector<double> gradient(6);
  const MapView<double> other{gradient.data(), 3, 2, 1, 1, 1, 2};
  EXPECT_THROW(soft_cross_entropy(row_view(logits, 3), Tensor({2, 3}), &other), Error);
}

}  // namespace
}  // namespace marrow::loss
