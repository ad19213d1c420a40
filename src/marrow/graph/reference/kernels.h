// One plain function an operation. Tensors are NCHW of T, float or double; sums and functions are taken in
// double, whatever T is. Shapes have been inferred, dst is allocated.
#pragma once

#include <span>

#include "marrow/base/tensor.h"
#include "marrow/graph/operation.h"

namespace marrow::reference {

template <class T>
struct Kernels {
  // bias may be undefined.
  static void conv(const Tensor& src, const Tensor& weight, const Tensor& bias, const Conv& op, Tensor& dst);
  static void conv_transpose(const Tensor& src, const Tensor& weight, const Tensor& bias,
                             const ConvTranspose& op, Tensor& dst);
  static void linear(const Tensor& src, const Tensor& weight, const Tensor& bias, Tensor& dst);

  // y = (x - mean) * weight / sqrt(var + eps) + bias
  static void batch_norm(const Tensor& src, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& var, double eps, Tensor& dst);
  // mean and biased variance over N, H, W
  static void batch_statistics(const Tensor& src, Tensor& mean, Tensor& var);

  static void activation(const Tensor& src, ActivationKind kind, double slope, Tensor& dst);
  static void add(const Tensor& a, const Tensor& b, Tensor& dst);
  static void multiply(const Tensor& a, const Tensor& b, Tensor& dst);
  static void concat(std::span<const Tensor* const> parts, Tensor& dst);
  static void slice(const Tensor& src, const Slice& op, Tensor& dst);
  static void scale(const Tensor& src, const Tensor& weight, Tensor& dst);
  static void attention(const Tensor& src, const Attention& op, Tensor& dst);
  static void channel_shuffle(const Tensor& src, int groups, Tensor& dst);
  static void max_pool(const Tensor& src, const MaxPool& op, Tensor& dst);
  static void adaptive_max_pool(const Tensor& src, const AdaptiveMaxPool& op, Tensor& dst);
  static void global_average_pool(const Tensor& src, Tensor& dst);
  static void upsample(const Tensor& src, int factor, Tensor& dst);
  static void detect_decode(std::span<const Tensor* const> maps, const Tensor& bins, const DetectDecode& op,
                            Tensor& dst);
};

}  // namespace marrow::reference
