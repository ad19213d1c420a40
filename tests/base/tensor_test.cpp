#include "marrow/base/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "marrow/base/error.h"

namespace marrow {
namespace {

TEST(Tensor, ElementCountRefusesWhatMemoryCannotHold) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 0, 3}), 0);
  EXPECT_THROW(element_count({2, -1}), Error);
  EXPECT_THROW(element_count({int64_t{1} << 40, int64_t{1} << 40}), Error);
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor a = Tensor::from({2}, std::vector<float>{1, 2});
  Tensor shared = a;
  Tensor cloned = a.clone();
  a.values()[0] = 5;
  EXPECT_EQ(shared.values()[0], 5);
  EXPECT_EQ(cloned.values()[0], 1);
}

TEST(Tensor, HalfConvertsEveryClassOfNumber) {
  EXPECT_EQ(half_to_float(0x3c00), 1.f);
  EXPECT_EQ(half_to_float(0xc000), -2.f);
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.f, -24));
  EXPECT_EQ(half_to_float(0x7bff), 65504.f);
  EXPECT_EQ(half_to_float(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
  EXPECT_EQ(bfloat16_to_float(0x3f80), 1.f);
}

TEST(Tensor, RelativeDifferenceScalesByTheReference) {
  const Tensor reference = Tensor::from({3}, std::vector<float>{0, 4, -8});
  const Tensor close = Tensor::from({3}, std::vector<float>{0.8f, 4, -8});
  EXPECT_NEAR(relative_difference(close, reference), 0.1, 1e-7);
  const Tensor broken = Tensor::from({3}, std::vector<float>{NAN, 4, -8});
  EXPECT_TRUE(std::isinf(relative_difference(broken, reference)));
}

}  // namespace
}  // namespace marrow
