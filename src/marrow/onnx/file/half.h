// float32 to float16, for files whose weights are half as wide.
#pragma once

#include <cstdint>

#include "marrow/base/tensor.h"

namespace marrow::onnx {

// To the nearest, ties to even; infinity beyond 65504.
uint16_t float_to_half(float value);

// Throws Error{kUnsupported} naming `name` when a finite number of `tensor` is too large for float16.
Tensor to_half(const Tensor& tensor, const std::string& name);

}  // namespace marrow::onnx
