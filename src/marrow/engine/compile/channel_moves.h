// Channel shuffles, and the slices and concatenations around them, without a copy: what they compute is a
// list of places, and the layer behind them reads its channels from these places.
//
// 1x1 convolutions read channels from anywhere. A depthwise convolution is cut into one part for each map
// that its channels lie in; its result is a list of places again. Anything else gets a copy in one piece.
#pragma once

#include "marrow/engine/compile/lowering.h"

namespace marrow::engine {

// Removes all channel shuffles, slices that do not begin at a block, and concatenations that would have to be
// copied and need not. REQUIRES: operations are fused, nothing is placed yet.
void dissolve_channel_moves(int lanes, Lowered& lowered);

}  // namespace marrow::engine
