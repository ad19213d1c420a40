// The network's input format in the terms of the picture functions.
#pragma once

#include "marrow/detect/network_input.h"
#include "marrow/graph/graph.h"

namespace marrow::predict {

inline detect::PixelFormat pixel_format(const InputFormat& format) {
  return {format.order == ChannelOrder::kRgb, format.scale, format.mean, format.std};
}

// The format that the graph's input node carries.
const InputFormat& input_format(const Graph& graph);

}  // namespace marrow::predict
