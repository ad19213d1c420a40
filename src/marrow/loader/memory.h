// How much memory there is to keep images in.
#pragma once

#include <cstdint>

namespace marrow::loader {

// Bytes that the process can still use without swapping: what the system calls available, or what is left of
// the control group's limit when that is less. 0 when nothing can be found out.
uint64_t available_memory();

}  // namespace marrow::loader
