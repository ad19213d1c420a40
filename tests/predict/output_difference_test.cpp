#include "marrow/predict/output_difference.h"

#include <gtest/gtest.h>

#include "support/graphs.h"

namespace marrow::predict {
namespace {

// x^(2^count): the last bit of x grows with every product.
passes::GraphWithWeights products(int count) {
  const auto body = [&](GraphBuilder& g, Value x) {
    for (int i = 0; i < count; ++i) x = g.multiply(x, x);
    return x;
  };
  return {testing::graph_of(3, body), {}};
}

Tensor input_at(double contrast) {
  Tensor input({1, 3, 8, 8});
  for (size_t i = 0; i < input.values().size(); ++i)
    input.values()[i] = static_cast<float>(contrast * (0.95 + 0.07 * static_cast<double>(i) / 192));
  return input;
}

TEST(CalmContrast, IsOneForANetworkThatRoundsAsItsInput) {
  EXPECT_EQ(calm_contrast(products(1), input_at), 1);
}

TEST(CalmContrast, IsCutUntilAnAmplifyingNetworkIsCalm) {
  const passes::GraphWithWeights network = products(9);  // to the power of 512
  EXPECT_GT(rounding_sensitivity(network, input_at(1)), 3e-5);
  const double contrast = calm_contrast(network, input_at);
  EXPECT_LT(contrast, 1);
  EXPECT_LE(rounding_sensitivity(network, input_at(contrast)), 3e-5);
}

TEST(CalmContrast, EndsWhereNoneIsCalm) {
  const auto always_loud = [](double) { return input_at(1); };
  EXPECT_EQ(calm_contrast(products(9), always_loud), 1.0 / 64);
}

TEST(SensitivityNote, BlamesTheNetworkOnlyWhereItIsToBlame) {
  EXPECT_EQ(sensitivity_note(1e-7, 1e-4, "--data"), "");
  EXPECT_NE(sensitivity_note(1e-2, 1e-4, "--data").find("with --data"), std::string::npos);
  EXPECT_NE(sensitivity_note(1e-2, 1e-4, "").find("--tolerance accepts more"), std::string::npos);
}

}  // namespace
}  // namespace marrow::predict
