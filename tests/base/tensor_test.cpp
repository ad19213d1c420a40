#include "marrow/base/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/tensor_slab.h"

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

TEST(TensorSlab, TensorsLieSideBySideAndOutliveIt) {
  constexpr int64_t kFloats = 100'000;
  Tensor first, second, small, nested;
  {
    const TensorSlab slab;
    first = Tensor({kFloats});
    small = Tensor({10});
    {
      const TensorSlab other;
      nested = Tensor({kFloats});
    }
    second = Tensor({kFloats});
  }
  const Tensor after({kFloats});
  EXPECT_EQ(second.bytes() - first.bytes(), static_cast<std::ptrdiff_t>(first.byte_size()));
  for (Tensor* tensor : {&first, &second, &small, &nested}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->bytes()) % Tensor::kAlignment, 0u);
    EXPECT_TRUE(std::ranges::all_of(tensor->values(), [](float value) { return value == 0; }));
  }
  EXPECT_NE(after.bytes() - second.bytes(), static_cast<std::ptrdiff_t>(first.byte_size()));
  first = {};
  std::ranges::fill(second.values(), 1);  // the sanitizers and the system would complain
  EXPECT_EQ(second.values().back(), 1);
}

// More than a mapping holds.
TEST(TensorSlab, TakesAnotherMappingWhenOneIsFull) {
  const TensorSlab slab;
  std::vector<Tensor> tensors;
  for (int i = 0; i < 30; ++i) {
    tensors.emplace_back(Shape{500'000});
    std::ranges::fill(tensors.back().values(), static_cast<float>(i));
  }
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(tensors[static_cast<size_t>(i)].values().front(), static_cast<float>(i));
    EXPECT_EQ(tensors[static_cast<size_t>(i)].values().back(), static_cast<float>(i));
  }
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
