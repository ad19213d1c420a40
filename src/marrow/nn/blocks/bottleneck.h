// Residual units of the YOLO family.
#pragma once

#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

struct BottleneckOptions {
  int out = 0;
  bool shortcut = true;  // adds the input when it has `out` channels
  int groups = 1;        // of the second convolution
  int kernel1 = 3;
  int kernel2 = 3;
  double expansion = 0.5;  // hidden channels = int(out * expansion)
};

// Convolution units "cv1" (to the hidden channels) and "cv2" (to `out`), then the shortcut.
Value bottleneck(GraphBuilder& g, Value x, std::string_view name, const BottleneckOptions& options,
                 const Activation& activation);

// The ghost bottleneck: ghost unit to out / 2 channels, for stride 2 a depthwise unit, ghost unit to `out`
// without activation; added to the input, which for stride 2 passes a depthwise and a 1x1 unit.
// Parameters "conv.0", "conv.1", "conv.2", "shortcut.0", "shortcut.1". Stride 1 keeps the channels.
// Source: GhostNet, Han et al. 2020, figure 3.
Value ghost_bottleneck(GraphBuilder& g, Value x, std::string_view name, int out, int kernel, int stride,
                       const Activation& activation);

// int(channels * ratio), at least 1: as Python truncates.
int expanded(int channels, double ratio);

}  // namespace marrow::nn
