// Self-attention over the positions of a map.
#pragma once

#include "marrow/engine/step.h"
#include "marrow/graph/operation.h"

namespace marrow::engine {

// As graph/operation.h defines it. The views are blocked maps of one size.
StepPtr make_attention(const Attention& attention, const View& src, const View& dst, const Kernels& kernels);

}  // namespace marrow::engine
