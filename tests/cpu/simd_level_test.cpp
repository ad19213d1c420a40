#include "marrow/cpu/simd_level.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "support/environment.h"

namespace marrow::cpu {
namespace {

using testing::Environment;

std::string refusal(const std::string& name) {
  try {
    choose_simd_level(name);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(SimdLevel, TheEnvironmentDecidesUnlessTheCallerDoes) {
  const Environment environment("MARROW_SIMD", "plain");
  EXPECT_EQ(choose_simd_level(), SimdLevel::kPlain);
  const SimdLevel fastest = available_simd_levels().back();
  EXPECT_EQ(choose_simd_level(simd_name(fastest)), fastest);
}

TEST(SimdLevel, AnEmptyVariableMeansTheFastest) {
  const Environment environment("MARROW_SIMD", "");
  EXPECT_EQ(choose_simd_level(), available_simd_levels().back());
}

TEST(SimdLevel, UnknownNamesAreRefusedWithTheKnownOnes) {
  const Environment environment("MARROW_SIMD", "avx521");
  EXPECT_NE(refusal("").find("MARROW_SIMD"), std::string::npos);
  EXPECT_NE(refusal("").find("avx512"), std::string::npos);
  EXPECT_EQ(refusal("avx521").find("MARROW_SIMD"), std::string::npos);
}

TEST(SimdLevel, ALevelTheCpuLacksIsRefusedWithTheAvailableOnes) {
#if defined(__x86_64__)
  const std::string message = refusal("neon");
#else
  const std::string message = refusal("avx512");
#endif
  EXPECT_NE(message.find("lacks"), std::string::npos);
  EXPECT_NE(message.find("plain"), std::string::npos);
}

}  // namespace
}  // namespace marrow::cpu
