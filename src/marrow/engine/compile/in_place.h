// Gates that write over the map that they read.
#pragma once

#include "marrow/engine/compile/lowering.h"

namespace marrow::engine {

// Gives a gate's output the place of its input where nobody reads that later: the numbers are then written to
// lines that are in the cache. REQUIRES: elements are chosen.
void gate_in_place(Lowered& lowered);

}  // namespace marrow::engine
