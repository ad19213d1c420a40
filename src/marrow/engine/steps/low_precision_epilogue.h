// What follows the sums of a convolution whose maps are of low precision, while they are still in the cache.
#pragma once

#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

// Applies the convolution's epilogue to a tile of float32 numbers and stores it in dst as dst's element.
// Blocks of `values` lie `values_block` floats apart; where dst is float32, they are the tile's place in dst.
// `joined` is scratch for as many floats as a block of the tile has.
void finish_low_precision_tile(const RunContext& context, const ConvDescription& conv, const TilePlace& place,
                               float* values, int64_t values_block, float* joined);

}  // namespace marrow::engine
