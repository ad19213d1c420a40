// Convolutions that train as a sum of branches and could run as one.
#pragma once

#include <string_view>

#include "marrow/graph/builder.h"

namespace marrow::nn {

// Units without activation "conv1" (kernel) and "conv2" (1x1, the same stride), added, then SiLU whatever the
// model's activation. Source: RepVGG, Ding et al. 2021, arXiv:2101.03697, in the form of YOLOv9.
Value rep_conv(GraphBuilder& g, Value x, std::string_view name, int out, int kernel = 3, int stride = 1);

// Ahead of ReLU: "rbr_dense" (3x3), "rbr_1x1", and where width and size stay the batch norm "rbr_identity";
// each convolution with its batch norm as `conv` and `bn`. Source: the same, as YOLOv6 has it.
Value rep_vgg_block(GraphBuilder& g, Value x, std::string_view name, int out, int stride = 1);

}  // namespace marrow::nn
