// Batch normalisation by the statistics of the batch, for maps whose channels lie last in memory.
//
// LibTorch 1.13 sums the statistics of that layout in float32, which moves the gradients of early layers by
// 1e-4. Here they are sums in double precision, in an order that no number of threads changes.
#pragma once

#include "marrow/train/torch/torch.h"

namespace marrow::train {

// Statistics that move with every batch: running = (1 - momentum) running + momentum batch, with the batch's
// unbiased variance. Both (C) float32, changed in place; undefined ones are left out.
struct RunningStatistics {
  torch::Tensor mean, variance;
  double momentum = 0.1;
};

// y = scale (x - mean) / sqrt(variance + eps) + shift, by each channel's mean and biased variance;
// differentiable in x, scale and shift. Source: Batch Normalization, Ioffe and Szegedy 2015, algorithm 1.
//   x: (N, C, H, W) float32 on the CPU, more than one value a channel; scale, shift: (C) float32.
//   y: as x, channels last.
torch::Tensor batch_norm_channels_last(const torch::Tensor& x, const torch::Tensor& scale,
                                       const torch::Tensor& shift, const RunningStatistics& running,
                                       double eps);

}  // namespace marrow::train
