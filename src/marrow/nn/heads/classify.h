// The YOLOv8 classification head.
#pragma once

#include "marrow/graph/builder.h"

namespace marrow::nn {

// Channels between the last map and the linear layer.
inline constexpr int kClassifyHidden = 1280;

struct ClassifyOptions {
  int classes = 1000;
  int kernel = 1;
  int stride = 1;
  int groups = 1;
};

// A convolution unit "conv", global average pool, linear "linear"; output "logits" (N, classes), which it
// returns.
Value classify_head(GraphBuilder& g, Value x, const ClassifyOptions& options, const Activation& activation);

}  // namespace marrow::nn
