// When a convolution's padding matters to a pass.
#pragma once

#include "marrow/graph/operation.h"

namespace marrow::passes {

// Whether every tap lies on the map, whatever its size. (TensorFlow's SAME pads a 1x1 kernel by nothing.)
inline bool is_unpadded(const Conv& conv) {
  return conv.padding.same ? conv.kernel == 1 : conv.padding.before == 0 && conv.padding.after == 0;
}

}  // namespace marrow::passes
