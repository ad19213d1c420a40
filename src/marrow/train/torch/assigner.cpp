#include "marrow/train/torch/assigner.h"

#include <algorithm>

#include "marrow/train/torch/iou.h"

namespace marrow::train {
namespace {

constexpr double kInsideMargin = 1e-9;  // pixels; strict inside
constexpr double kAlignmentEps = 1e-9;

}  // namespace

torch::Tensor anchors_inside(const torch::Tensor& anchors, const PaddedObjects& objects,
                             double smallest_side) {
  const torch::Tensor point = anchors.view({1, 1, -1, 2});
  torch::Tensor box = objects.boxes.unsqueeze(2);  // (N, M, 1, 4)
  if (smallest_side > 0) {
    const torch::Tensor first = box.narrow(-1, 0, 2), last = box.narrow(-1, 2, 2);
    const torch::Tensor middle = (first + last) / 2, side = last - first;
    const torch::Tensor half =
        torch::where(side < smallest_side, torch::full_like(side, smallest_side), side) / 2;
    box = torch::cat({middle - half, middle + half}, -1);
  }
  const auto beyond = [&](int64_t axis) {
    return (point.select(-1, axis) - box.select(-1, axis) > kInsideMargin)
        .logical_and_(box.select(-1, axis + 2) - point.select(-1, axis) > kInsideMargin);
  };
  return beyond(0).logical_and_(beyond(1)).logical_and_(objects.valid.unsqueeze(-1));
}

Assignment assign(const torch::Tensor& logits, const torch::Tensor& boxes, const torch::Tensor& anchors,
                  const PaddedObjects& objects, const AssignerOptions& options) {
  const torch::NoGradGuard no_grad;
  const int64_t n = boxes.size(0), m = objects.boxes.size(1), a = anchors.size(0);
  const auto real = boxes.options();
  if (m == 0) {
    const torch::Tensor weights = torch::zeros({n, a}, real);
    return {weights, weights > 0, torch::zeros({n, a}, real.dtype(torch::kInt64))};
  }

  // Candidates are few: an object's box covers a small part of the image. Overlaps are computed for those
  // (K of them) and spread out into (N, M, A).
  const torch::Tensor inside = anchors_inside(anchors, objects, options.smallest_side);
  const torch::Tensor candidates = inside.nonzero();  // (K, 3)
  const torch::Tensor image = candidates.select(1, 0), object = candidates.select(1, 1),
                      anchor = candidates.select(1, 2);
  const torch::Tensor overlap =
      box_iou(objects.boxes.index({image, object}).to(real), boxes.index({image, anchor}), IouKind::kCiou)
          .clamp_min_(0);
  const torch::Tensor score =
      logits.index({image, objects.labels.index({image, object}), anchor}).to(real).sigmoid();
  const torch::Tensor alignment = score.pow(options.alpha) * overlap.pow(options.beta);
  const auto spread = [&](const torch::Tensor& values) {
    return torch::zeros({n, m, a}, real).index_put_({image, object, anchor}, values);
  };
  const torch::Tensor overlaps = spread(overlap), alignments = spread(alignment);

  // Every object picks. Where several want an anchor, the largest overlap of all decides, even that of an
  // object that had not picked it.
  const torch::Tensor best = std::get<1>(
      alignments.topk(std::min<int64_t>(options.top_k, a), -1, /*largest=*/true, /*sorted=*/false));
  torch::Tensor picked =
      torch::zeros({n, m, a}, real.dtype(torch::kBool)).scatter_(-1, best, true).logical_and_(inside);
  const torch::Tensor contested = picked.sum(1, /*keepdim=*/true) > 1;  // (N, 1, A)
  const torch::Tensor winner =
      torch::zeros_like(picked).scatter_(1, overlaps.argmax(1, /*keepdim=*/true), true);
  picked = torch::where(contested, winner, picked);

  if (options.top_k_after > 0) {
    const torch::Tensor kept = std::get<1>(
        (alignments * picked)
            .topk(std::min<int64_t>(options.top_k_after, a), -1, /*largest=*/true, /*sorted=*/false));
    picked = torch::zeros_like(picked).scatter_(-1, kept, true).logical_and_(picked);
  }
  const torch::Tensor won = alignments * picked;
  const torch::Tensor largest_alignment = won.amax(-1, /*keepdim=*/true);
  const torch::Tensor largest_overlap = (overlaps * picked).amax(-1, /*keepdim=*/true);
  // An anchor has one object by now, so the largest share is its object's.
  const auto [weights, object_of] =
      (won * (largest_overlap / (largest_alignment + kAlignmentEps))).max(1);  // (N, A)
  return {weights, weights > 0, object_of};
}

}  // namespace marrow::train
