// Steps that reduce or repeat pixels within a channel, and the linear layer.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/step.h"

namespace marrow::engine {

// Max pooling and upsampling take any element, the same for src and dst; max pooling of low precision wants
// 2 * padding <= kernel. The others take float32.
StepPtr make_max_pool(const View& src, const View& dst, int kernel, int stride, int padding,
                      const Kernels& kernels);
StepPtr make_adaptive_max_pool(const View& src, const View& dst, const Kernels& kernels);
StepPtr make_global_average_pool(const View& src, const View& dst, const Kernels& kernels);
StepPtr make_upsample(const View& src, const View& dst, int factor, const Kernels& kernels);

// weight (out, in), bias (out) or undefined; planar views of one pixel. Keeps the tensors.
StepPtr make_linear(const View& src, const View& dst, const Tensor& weight, const Tensor& bias,
                    const Epilogue& epilogue, const Kernels& kernels);

}  // namespace marrow::engine
