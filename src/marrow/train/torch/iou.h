// Overlap of boxes as a function with a gradient.
// Sources: Generalized IoU, Rezatofighi et al. 2019; Distance-IoU, Zheng et al. 2020.
#pragma once

#include "marrow/train/torch/torch.h"

namespace marrow::train {

enum class IouKind { kIou, kGiou, kDiou, kCiou };

// boxes (..., 4) xyxy, broadcast against each other; returns the broadcast shape without the last dimension.
// The weight alpha of CIoU's aspect term is a constant for the gradient, as its authors detach it.
// A height gets 1e-7 added, a width does not: so did the published weights' training.
torch::Tensor box_iou(const torch::Tensor& a, const torch::Tensor& b, IouKind kind);

}  // namespace marrow::train
