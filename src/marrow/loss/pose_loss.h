// The loss of a head that finds keypoints: that of detection, how far points lie from where they are, as
// object keypoint similarity weighs it, and a binary cross entropy of whether they are visible.
// Source: YOLO-Pose, Maji et al. 2022, section 3.4.
#pragma once

#include <array>
#include <vector>

#include "marrow/geometry/keypoint_sigmas.h"
#include "marrow/loss/detection_loss.h"

namespace marrow::loss {

// Box, points, visibility (0 where points have none), class, DFL.
using PoseTerms = std::array<double, 5>;

struct PoseLossOptions {
  DetectionLossOptions detection = {};
  int points = 17;
  int numbers = 3;  // of a point, on the maps: 2 or 3
  double pose_gain = train::kPoseGain;
  double visibility_gain = train::kVisibilityGain;
  std::vector<double> sigmas = {};  // one a point, of the dataset; none: keypoint_sigmas()
};

template <class T>
struct PoseLossInput {
  DetectionLossInput<T> detection;
  std::span<const MapView<const T>> points;  // one a level, (N, points * numbers, H, W)
  // (T, points, 3) float32: x, y as fractions of the input, and whether they are labelled (not 0), for each
  // of the targets.
  Tensor keypoints;
  std::span<const MapView<T>> point_gradients = {};  // as detection.gradients; both or none of them
};

class PoseLoss {
 public:
  PoseLoss(int classes, int reg_max, const std::vector<int>& strides, const PoseLossOptions& options = {});

  // As DetectionLoss has it.
  template <class T>
  PoseTerms operator()(const PoseLossInput<T>& input) const {
    return terms(input, assign(input));
  }

  // Its two halves: no gradient flows through the first.
  template <class T>
  DetectionAssignment assign(const PoseLossInput<T>& input) const;
  template <class T>
  PoseTerms terms(const PoseLossInput<T>& input, const DetectionAssignment& assignment) const;

 private:
  PoseLossOptions options_;
  DetectionLoss detection_;
};

}  // namespace marrow::loss
