// What processor this is.
#pragma once

#include <string>

namespace marrow::cpu {

// As the system names it: "AMD EPYC 9R14"; "unknown" where it does not say.
std::string processor_name();

}  // namespace marrow::cpu
