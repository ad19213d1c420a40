// 1x1 convolutions and the depthwise ones that alone read them, as one operation each where that saves time.
#pragma once

#include "marrow/engine/compile/lowering.h"

namespace marrow::engine {

// Replaces such pairs in float32 by lowered::ExpandDepthwise, where few channels become more and there is
// work for `threads`. REQUIRES: elements are chosen.
void fuse_expansions(const Kernels& kernels, int threads, Lowered& lowered);

}  // namespace marrow::engine
