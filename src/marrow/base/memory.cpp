#include "marrow/base/memory.h"

#include <malloc.h>

namespace marrow {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLargestBlock = 32 << 20, kKept = 64 << 20;  // bytes
  mallopt(M_MMAP_THRESHOLD, kLargestBlock);
  mallopt(M_TRIM_THRESHOLD, kKept);
#endif
}

}  // namespace marrow
