#include "marrow/train/torch/anchors.h"

namespace marrow::train {

Anchors make_anchors(std::span<const torch::Tensor> maps, std::span<const int> strides) {
  std::vector<torch::Tensor> centres, of_anchor;
  for (size_t level = 0; level < maps.size(); ++level) {
    const auto options = maps[level].options().dtype(torch::kFloat32).requires_grad(false);
    const int64_t h = maps[level].size(2), w = maps[level].size(3);
    const torch::Tensor x = (torch::arange(w, options) + 0.5).view({1, w}).expand({h, w});
    const torch::Tensor y = (torch::arange(h, options) + 0.5).view({h, 1}).expand({h, w});
    centres.push_back(torch::stack({x, y}, -1).view({h * w, 2}));
    of_anchor.push_back(torch::full({h * w, 1}, static_cast<double>(strides[level]), options));
  }
  return {torch::cat(centres), torch::cat(of_anchor)};
}

torch::Tensor join_levels(std::span<const torch::Tensor> maps) {
  std::vector<torch::Tensor> flat;
  for (const torch::Tensor& map : maps) flat.push_back(map.flatten(2));
  return torch::cat(flat, 2);
}

torch::Tensor distances_to_boxes(const torch::Tensor& points, const torch::Tensor& distances) {
  return torch::cat({points - distances.narrow(-1, 0, 2), points + distances.narrow(-1, 2, 2)}, -1);
}

torch::Tensor boxes_to_distances(const torch::Tensor& points, const torch::Tensor& boxes) {
  return torch::cat({points - boxes.narrow(-1, 0, 2), boxes.narrow(-1, 2, 2) - points}, -1);
}

}  // namespace marrow::train
