// The cells of a detection head as points: one anchor a cell, at its centre.
#pragma once

#include <span>
#include <vector>

#include "marrow/train/torch/torch.h"

namespace marrow::train {

// Levels in order, row-major inside a level. A is the number of cells of all levels.
struct Anchors {
  torch::Tensor centres;  // (A, 2) x, y in cells
  torch::Tensor strides;  // (A, 1) input pixels a cell
};

// For maps (N, C, H, W), one a level; float32 on the maps' device.
Anchors make_anchors(std::span<const torch::Tensor> maps, std::span<const int> strides);

// The maps side by side: (N, C, A).
torch::Tensor join_levels(std::span<const torch::Tensor> maps);

// Distances (..., 4) left, top, right, bottom from points (..., 2), as boxes (..., 4) xyxy; and back.
torch::Tensor distances_to_boxes(const torch::Tensor& points, const torch::Tensor& distances);
torch::Tensor boxes_to_distances(const torch::Tensor& points, const torch::Tensor& boxes);

}  // namespace marrow::train
