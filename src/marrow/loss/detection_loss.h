// The YOLOv8 loss on the raw maps of a detection head, and its gradient.
//
// Every prediction near an object is assigned to it by how well it classifies and localises
// (loss/assigner.h); classification is a binary cross entropy against the assignment's soft scores,
// localisation a complete IoU (loss/box_iou.h) and the distribution focal loss.
// Sources: TOOD, Feng et al. 2021; Generalized Focal Loss, Li et al. 2020; Distance-IoU, Zheng et al. 2020.
//
// Work is cut by shapes alone, sums are taken in double precision and in a fixed order: every number of
// threads gives the same bytes.
#pragma once

#include <string>
#include <vector>

#include "marrow/cpu/simd_level.h"
#include "marrow/graph/graph.h"
#include "marrow/loss/assigner.h"
#include "marrow/loss/detection_input.h"
#include "marrow/loss/options.h"

namespace marrow::loss {

struct DetectionAssignment {
  Objects objects;
  std::vector<ImageAssignment> images;

  // Both of the whole batch. Of all weights, at least 1: what the terms are divided by; and anchors.
  double total(const WholeBatch& whole = {}) const;
  int64_t foreground(const WholeBatch& whole = {}) const;
};

class DetectionLoss {
 public:
  DetectionLoss(int classes, int reg_max, std::vector<int> strides, const DetectionLossOptions& options = {});
  // For the graph's detection head. Throws Error{kModel} when it has none.
  explicit DetectionLoss(const Graph& graph, const DetectionLossOptions& options = {});

  // The terms, times gains times the whole batch's size; their sum, over its parts, is what is minimised.
  // Where a logit is not a number they are not either. Throws Error{kShape} when a map, an image index or a
  // class does not fit.
  template <class T>
  DetectionTerms operator()(const DetectionLossInput<T>& input) const;

  // Its two halves: no gradient flows through the first.
  template <class T>
  DetectionAssignment assign(const DetectionLossInput<T>& input) const;
  template <class T>
  DetectionTerms terms(const DetectionLossInput<T>& input, const DetectionAssignment& assignment) const;

  // Of the second half: the class term of all anchors as if they were background, and their gradients.
  template <class T>
  double background(const DetectionLossInput<T>& input, std::span<const AnchorLevel> levels,
                    const DetectionAssignment& assignment, double scale) const;

  // The input's levels. Throws as above.
  template <class T>
  std::vector<AnchorLevel> levels(const DetectionLossInput<T>& input) const;

  // What the third term is called: "dfl_loss"; "l1_loss" of a head whose sides are numbers, not distributions
  // (reg_max 1).
  std::string third_name() const { return reg_max_ == 1 ? "l1_loss" : "dfl_loss"; }

 private:
  int classes_;
  int reg_max_;
  std::vector<int> strides_;  // input pixels a cell, one a level
  DetectionLossOptions options_;
  cpu::SimdLevel simd_ = cpu::choose_simd_level();
};

// The loss of a head with two branches over the same levels, one that gives an object several predictions and
// one that gives it one. Source: YOLOv10, Wang et al. 2024; the weights of the two are Ultralytics 8.4's.
class DualDetectionLoss {
 public:
  DualDetectionLoss(int classes, int reg_max, const std::vector<int>& strides,
                    const DetectionLossOptions& options = {});

  struct Terms {
    DetectionTerms loss;   // of both branches, weighted: their sum is what is minimised
    DetectionTerms shown;  // the second branch's, unweighted
  };
  // The inputs differ in maps and gradients alone. `share`: of the first branch, one_to_many_share.
  template <class T>
  Terms operator()(const DetectionLossInput<T>& many, const DetectionLossInput<T>& one, double share) const;

 private:
  DetectionLoss many_, one_;
};

}  // namespace marrow::loss
