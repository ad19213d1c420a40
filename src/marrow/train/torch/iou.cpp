#include "marrow/train/torch/iou.h"

#include <numbers>

namespace marrow::train {
namespace {

constexpr double kIouEps = 1e-7;

}  // namespace

torch::Tensor box_iou(const torch::Tensor& a, const torch::Tensor& b, IouKind kind) {
  const auto a_sides = a.unbind(-1), b_sides = b.unbind(-1);
  const torch::Tensor &ax1 = a_sides[0], &ay1 = a_sides[1], &ax2 = a_sides[2], &ay2 = a_sides[3];
  const torch::Tensor &bx1 = b_sides[0], &by1 = b_sides[1], &bx2 = b_sides[2], &by2 = b_sides[3];
  const torch::Tensor aw = ax2 - ax1, ah = ay2 - ay1 + kIouEps;
  const torch::Tensor bw = bx2 - bx1, bh = by2 - by1 + kIouEps;

  const torch::Tensor intersection = (torch::minimum(ax2, bx2) - torch::maximum(ax1, bx1)).clamp_min(0) *
                                     (torch::minimum(ay2, by2) - torch::maximum(ay1, by1)).clamp_min(0);
  const torch::Tensor united = aw * ah + bw * bh - intersection + kIouEps;
  const torch::Tensor iou = intersection / united;
  if (kind == IouKind::kIou) return iou;

  // The smallest box around both.
  const torch::Tensor cw = torch::maximum(ax2, bx2) - torch::minimum(ax1, bx1);
  const torch::Tensor ch = torch::maximum(ay2, by2) - torch::minimum(ay1, by1);
  if (kind == IouKind::kGiou) {
    const torch::Tensor area = cw * ch + kIouEps;
    return iou - (area - united) / area;
  }
  const torch::Tensor diagonal = cw.square() + ch.square() + kIouEps;
  const torch::Tensor distance = ((bx1 + bx2 - ax1 - ax2).square() + (by1 + by2 - ay1 - ay2).square()) / 4;
  if (kind == IouKind::kDiou) return iou - distance / diagonal;

  constexpr double kScale = 4 / (std::numbers::pi * std::numbers::pi);
  const torch::Tensor v = kScale * ((bw / bh).atan() - (aw / ah).atan()).square();
  const torch::Tensor alpha = (v / (v - iou + (1 + kIouEps))).detach();  // a constant for the gradient
  return iou - (distance / diagonal + v * alpha);
}

}  // namespace marrow::train
