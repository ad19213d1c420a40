#include "marrow/cpu/dispatch.h"

#include <gtest/gtest.h>

namespace marrow::cpu {
namespace {

using Number = int (*)();

int zero() {
  return 0;
}
int one() {
  return 1;
}
int two() {
  return 2;
}

TEST(Dispatch, ALevelTakesItsOwnFunction) {
  const Versions<Number> versions = {.plain = zero, .sse4 = one, .avx512 = two};
  EXPECT_EQ(choose(SimdLevel::kPlain, versions), zero);
  EXPECT_EQ(choose(SimdLevel::kSse4, versions), one);
  EXPECT_EQ(choose(SimdLevel::kAvx512, versions), two);
}

TEST(Dispatch, ALevelWithoutOneTakesTheNextBelow) {
  EXPECT_EQ(choose<Number>(SimdLevel::kAvx512, {.plain = zero, .avx2 = two}), two);
  EXPECT_EQ(choose<Number>(SimdLevel::kSse4, {.plain = zero, .avx2 = two}), zero);
  EXPECT_EQ(choose<Number>(SimdLevel::kNeon, {.plain = zero, .avx2 = two}), zero);
}

TEST(Dispatch, WhereNoneIsLowEnoughThereIsNone) {
  EXPECT_EQ(choose<Number>(SimdLevel::kSse4, {.avx2 = two}), nullptr);
  EXPECT_EQ(choose<Number>(SimdLevel::kPlain, {.sse4 = one}), nullptr);
}

}  // namespace
}  // namespace marrow::cpu
