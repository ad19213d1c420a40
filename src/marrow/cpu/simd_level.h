// The instruction sets the kernels are compiled for, and the choice among them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace marrow::cpu {

enum class SimdLevel {
  kPlain,  // C++ loops: the truth the others are tested against
  kSse4,
  kNeon,
  kAvx2,
  kAvx512,
};

std::string_view simd_name(SimdLevel level);  // "plain", "sse4", "neon", "avx2", "avx512"

bool supports(SimdLevel level);  // this CPU

// The levels that this CPU can run, slowest first; kPlain is always there.
std::vector<SimdLevel> available_simd_levels();

// `name`, or where it is empty the environment variable MARROW_SIMD, or where that is unset or empty the
// fastest level. Throws Error{kUsage} for an unknown name and for a level this CPU lacks.
SimdLevel choose_simd_level(std::string_view name = {});

}  // namespace marrow::cpu
