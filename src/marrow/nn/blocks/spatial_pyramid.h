// Spatial pyramid pooling: one map seen through several window sizes at once.
#pragma once

#include <span>
#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

// cv1 to half of x's channels; stride-1 max pools of `kernel`, one after another; cv2 on the concatenation of
// all maps, to `out` channels; + x with `shortcut`, when x has `out` channels. Three pools equal SPP with
// windows k, 2k - 1, 3k - 2.
struct SppfOptions {
  int out = 0;
  int kernel = 5;  // odd
  int pools = 3;
  bool shortcut = false;
  bool activated = true;  // whether cv1 has the activation; YOLO26 leaves it out
};
Value sppf(GraphBuilder& g, Value x, std::string_view name, const SppfOptions& options,
           const Activation& activation);

// The same with parallel pools of the given odd sizes.
// Source: He et al. 2014 (pyramid), in the form of YOLOv3-SPP: 5, 9, 13.
Value spp(GraphBuilder& g, Value x, std::string_view name, int out, std::span<const int> kernels,
          const Activation& activation);

}  // namespace marrow::nn
