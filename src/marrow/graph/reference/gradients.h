// The vector-Jacobian product of every operation, one plain function each: from the gradient of an
// operation's output, `dy`, those of its inputs and parameters. As the kernels: NCHW of T, sums in double.
// Where a formula has a kink the derivative is PyTorch's.
//
// Gradients are allocated; a function overwrites them. A bias gradient may be undefined: there is no bias.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/graph/operation.h"

namespace marrow::reference {

template <class T>
struct Gradients {
  static void conv(const Tensor& src, const Tensor& weight, const Conv& op, const Tensor& dy, Tensor& dsrc,
                   Tensor& dweight, Tensor& dbias);
  static void conv_transpose(const Tensor& src, const Tensor& weight, const ConvTranspose& op,
                             const Tensor& dy, Tensor& dsrc, Tensor& dweight, Tensor& dbias);
  static void linear(const Tensor& src, const Tensor& weight, const Tensor& dy, Tensor& dsrc, Tensor& dweight,
                     Tensor& dbias);

  // With `of_batch` mean and var are those of src, and move with it.
  static void batch_norm(const Tensor& src, const Tensor& weight, const Tensor& mean, const Tensor& var,
                         bool of_batch, double eps, const Tensor& dy, Tensor& dsrc, Tensor& dweight,
                         Tensor& dbias);

  static void activation(const Tensor& src, ActivationKind kind, double slope, const Tensor& dy,
                         Tensor& dsrc);
  // Of b alone, which may be a gate: that of a is multiply(dy, b).
  static void multiply(const Tensor& a, const Tensor& dy, Tensor& db);
  static void slice(const Slice& op, const Tensor& dy, Tensor& dsrc);
  // Of the weight alone: that of src is scale(dy, weight).
  static void scale(const Tensor& src, const Tensor& dy, Tensor& dweight);
  // Source: Dao et al. 2022 (FlashAttention), appendix B.2.
  static void attention(const Tensor& src, const Attention& op, const Tensor& dy, Tensor& dsrc);
  // To the element that the forward took, see largest_in().
  static void max_pool(const Tensor& src, const MaxPool& op, const Tensor& dy, Tensor& dsrc);
  static void adaptive_max_pool(const Tensor& src, const AdaptiveMaxPool& op, const Tensor& dy, Tensor& dsrc);
  static void global_average_pool(const Tensor& dy, Tensor& dsrc);
  static void upsample(int factor, const Tensor& dy, Tensor& dsrc);
};

}  // namespace marrow::reference
