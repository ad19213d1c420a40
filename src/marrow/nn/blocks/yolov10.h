// The compact blocks of YOLOv10. Source: YOLOv10, Wang et al. 2024, section 3.2.
#pragma once

#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

// 1x1 unit "cv1", then a depthwise unit "cv2" of the given kernel and stride without activation.
Value separable_down(GraphBuilder& g, Value x, std::string_view name, int out, int kernel, int stride,
                     const Activation& activation);

// activation(7x7 + 3x3), both depthwise units without activation: "conv" and "conv1".
Value large_kernel_depthwise(GraphBuilder& g, Value x, std::string_view name, const Activation& activation);

// "cv1": depthwise 3x3, 1x1 to 2 * int(out * expansion) channels, depthwise 3x3 (or large_kernel_depthwise),
// 1x1 to `out`, depthwise 3x3, all with activation; + x with `shortcut`, when x has `out` channels.
struct CibOptions {
  int out = 0;
  bool shortcut = true;
  bool large_kernel = false;
  double expansion = 0.5;
};
Value compact_inverted_block(GraphBuilder& g, Value x, std::string_view name, const CibOptions& options,
                             const Activation& activation);

}  // namespace marrow::nn
