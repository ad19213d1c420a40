// What training minimises.
//
// Classification: the cross entropy against targets that label smoothing, mixup and cutmix have made soft.
//
// Detection: the YOLOv8 loss on the head's raw maps. Every prediction near an object is assigned to it by
// how well it classifies and localises (assigner.h); classification is a binary cross entropy against
// the assignment's soft scores, localisation a complete IoU (iou.h) and the distribution focal loss.
// Sources: TOOD, Feng et al. 2021; Generalized Focal Loss, Li et al. 2020; Distance-IoU, Zheng et al. 2020.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/loss/detection_head.h"
#include "marrow/train/torch/assigner.h"
#include "marrow/train/torch/torch.h"

namespace marrow::train {

// The objects of a batch, one row each, in any order. The loss sorts them by image on the CPU, and fetches
// them from any other device.
struct DetectionTargets {
  torch::Tensor image;    // (T) int64, index in the batch
  torch::Tensor classes;  // (T) int64
  torch::Tensor boxes;    // (T, 4) float32: cx, cy, w, h as fractions of the network input
  // (R, 5) float32: image, cx, cy, w, h of regions to ignore. An anchor that lies strictly inside one, as the
  // assigner wants it of boxes, and belongs to no object has no part in the class loss. Undefined: none.
  torch::Tensor ignored = {};
};

using loss::DetectionLossOptions;

struct DetectionLossResult {
  // (box, class, dfl or L1) times gains times the batch size. Call loss.sum().backward().
  torch::Tensor loss;
  // The same without the batch size, detached: what is displayed and logged.
  torch::Tensor items;
  Assignment assignment;
  PaddedObjects objects;  // what the assignment's object indices mean
};

class DetectionLoss {
 public:
  DetectionLoss(int classes, int reg_max, std::vector<int> strides, const DetectionLossOptions& options = {});
  // For the graph's detection head. Throws Error{kModel} when it has none.
  explicit DetectionLoss(const Graph& graph, const DetectionLossOptions& options = {});

  // maps: (N, 4 * reg_max + classes, H, W), one a level, any floating type; computed at least in float32.
  // Throws Error{kShape} when a map, an image index or a class does not fit.
  DetectionLossResult operator()(std::span<const torch::Tensor> maps, const DetectionTargets& targets) const;

  // What the third term is called: "dfl_loss"; "l1_loss" of a head whose sides are numbers, not distributions
  // (reg_max 1).
  std::string third_name() const { return reg_max_ == 1 ? "l1_loss" : "dfl_loss"; }

 private:
  int classes_;
  int reg_max_;
  std::vector<int> strides_;  // input pixels a cell, one a level
  DetectionLossOptions options_;
};

// The loss of a head with two branches over the same levels, one that gives an object several predictions and
// one that gives it one. Source: YOLOv10, Wang et al. 2024; the weights of the two are Ultralytics 8.4's.
class DualDetectionLoss {
 public:
  DualDetectionLoss(int classes, int reg_max, const std::vector<int>& strides,
                    const DetectionLossOptions& options = {});

  // `share`: of the first branch, one_to_many_share. Items are the second branch's, unweighted.
  DetectionLossResult operator()(std::span<const torch::Tensor> one_to_many,
                                 std::span<const torch::Tensor> one_to_one, const DetectionTargets& targets,
                                 double share) const;

 private:
  DetectionLoss many_, one_;
};

// Mean over the batch of -sum_c target_c * log softmax(logits)_c, at least in float32 whatever the logits
// are.
//   logits, targets: (N, classes), rows of targets sum to 1. A scalar.
torch::Tensor soft_cross_entropy(const torch::Tensor& logits, const torch::Tensor& targets);

// Distribution focal loss of logits (M, 4, reg_max) for distances (M, 4) in cells, which are clamped to
// [0, reg_max - 1.01]. Returns (M): the mean over the four sides.
torch::Tensor distribution_focal_loss(const torch::Tensor& logits, const torch::Tensor& distances);

}  // namespace marrow::train
