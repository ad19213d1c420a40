// One plain function an operation. Tensors are NCHW float32, shapes have been inferred, dst is allocated.
#pragma once

#include <span>

#include "marrow/base/tensor.h"
#include "marrow/graph/operation.h"

namespace marrow::reference {

// bias may be undefined.
void conv(const Tensor& src, const Tensor& weight, const Tensor& bias, const Conv& op, Tensor& dst);
void conv_transpose(const Tensor& src, const Tensor& weight, const Tensor& bias, const ConvTranspose& op,
                    Tensor& dst);
void linear(const Tensor& src, const Tensor& weight, const Tensor& bias, Tensor& dst);

// y = (x - mean) * weight / sqrt(var + eps) + bias
void batch_norm(const Tensor& src, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                const Tensor& var, double eps, Tensor& dst);
// mean and biased variance over N, H, W
void batch_statistics(const Tensor& src, Tensor& mean, Tensor& var);

float activate(ActivationKind kind, double slope, float input);
void multiply(const Tensor& a, const Tensor& b, Tensor& dst);
void concat(std::span<const Tensor* const> parts, Tensor& dst);
void slice(const Tensor& src, const Slice& op, Tensor& dst);
void scale(const Tensor& src, const Tensor& weight, Tensor& dst);
void attention(const Tensor& src, const Attention& op, Tensor& dst);
void channel_shuffle(const Tensor& src, int groups, Tensor& dst);
void max_pool(const Tensor& src, const MaxPool& op, Tensor& dst);
void adaptive_max_pool(const Tensor& src, Tensor& dst);
void global_average_pool(const Tensor& src, Tensor& dst);
void upsample(const Tensor& src, int factor, Tensor& dst);
void detect_decode(std::span<const Tensor* const> maps, const Tensor& bins, const DetectDecode& op,
                   Tensor& dst);

}  // namespace marrow::reference
