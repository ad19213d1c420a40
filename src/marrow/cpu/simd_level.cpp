#include "marrow/cpu/simd_level.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdlib>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::cpu {
namespace {

constexpr SimdLevel kLevels[] = {SimdLevel::kPlain, SimdLevel::kSse4, SimdLevel::kNeon, SimdLevel::kAvx2,
                                 SimdLevel::kAvx512};

#if defined(__x86_64__)
// Clang's __builtin_cpu_supports does not know it.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

// Everything that the compiler may use for a level's Highway target, and that the system saves those
// registers.
bool supports(SimdLevel level) {
  if (level == SimdLevel::kPlain) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool sse4 =
      __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (level == SimdLevel::kSse4) return sse4;
  if (level == SimdLevel::kAvx2) return avx2;
  if (level == SimdLevel::kAvx512) return avx512;
#elif defined(__aarch64__)
  if (level == SimdLevel::kNeon) return true;
#endif
  return false;
}

std::string_view simd_name(SimdLevel level) {
  switch (level) {
    case SimdLevel::kPlain:
      return "plain";
    case SimdLevel::kSse4:
      return "sse4";
    case SimdLevel::kNeon:
      return "neon";
    case SimdLevel::kAvx2:
      return "avx2";
    case SimdLevel::kAvx512:
      return "avx512";
  }
  return "?";
}

std::vector<SimdLevel> available_simd_levels() {
  std::vector<SimdLevel> levels;
  std::ranges::copy_if(kLevels, std::back_inserter(levels), supports);
  return levels;
}

SimdLevel choose_simd_level(std::string_view name) {
  const char* variable = std::getenv("MARROW_SIMD");
  const bool from_environment = name.empty() && variable != nullptr;
  if (from_environment) name = variable;
  const std::vector<SimdLevel> available = available_simd_levels();
  if (name.empty()) return available.back();

  const std::string where = from_environment ? "MARROW_SIMD: " : "";
  const auto level = std::ranges::find(kLevels, name, simd_name);
  if (level == std::end(kLevels)) {
    std::vector<std::string> known;
    for (const SimdLevel each : kLevels) known.emplace_back(simd_name(each));
    throw Error(ErrorKind::kUsage, where + unknown_name_message("SIMD level", name, known));
  }
  if (!supports(*level)) {
    std::vector<std::string> usable;
    for (const SimdLevel each : available) usable.emplace_back(simd_name(each));
    throw Error(ErrorKind::kUsage, where + "this CPU lacks SIMD level '" + std::string(name) +
                                       "'. Available: " + join(usable, ", "));
  }
  return *level;
}

}  // namespace marrow::cpu
