// How large the processor's caches are: what is computed piece by piece is cut to fit them.
#pragma once

#include <cstdint>

namespace marrow::cpu {

// Bytes of the data cache of a level, 1 to 3; that of one core, where cores have their own. As the processor
// says, or else the system (which on virtual machines may report 0, or eight third-level caches as one);
// where neither does, a common size. Asked once; any thread.
int64_t cache_bytes(int level);

}  // namespace marrow::cpu
