// Chooses how a compiled network's maps are stored.
#pragma once

#include "marrow/engine/compile/lowering.h"
#include "marrow/engine/precision.h"

namespace marrow::engine {

// Gives every value its element, and adds conversions where one reader wants another than the rest. A map is
// of low precision where it lies in memory with what a convolution of low precision reads; so what is
// concatenated is all of one element. Max pooling, nearest upsampling and channel moves keep the element of
// what they write. Throws Error{kUsage} when int8 is asked of a graph none of whose layers is marked.
void choose_elements(const Graph& graph, Precision precision, Lowered& lowered);

}  // namespace marrow::engine
