// The layers of a quantised model in ONNX: QuantizeLinear and DequantizeLinear around what a convolution of
// bytes reads, as runtimes with int8 kernels look for them.
#pragma once

#include <string>
#include <vector>

#include "marrow/onnx/write/export_operations.h"

namespace marrow::onnx {

// The first operator set whose weights may have a scale for each output channel.
inline constexpr int kInt8Opset = 13;

// Whether the node is written so.
bool exported_as_int8(const Exporting& e, const Node& node);

// The inputs of its Conv: x through bytes, the weights from int8 with one scale an output channel, the bias
// from int32.
std::vector<std::string> int8_inputs(Exporting& e, const Node& node);

// `source` with the weights of its int8 layers rounded as the file holds them: what a reader that computes in
// float32 gets.
passes::GraphWithWeights with_int8_weights(const passes::GraphWithWeights& source);

}  // namespace marrow::onnx
