// The loss of a head with turned boxes: that of detection with the probabilistic IoU in place of the complete
// one, distances along the object's own sides, and a term of the angle.
// Source: Gaussian Bounding Boxes and Probabilistic Intersection-over-Union, Llerena et al. 2021.
#pragma once

#include <array>

#include "marrow/loss/detection_loss.h"

namespace marrow::loss {

// Box, class, DFL, angle; the last is 0 by 8.3's rules.
using TurnedTerms = std::array<double, 4>;

struct TurnedLossOptions {
  DetectionLossOptions detection = {};
  double angle_gain = train::kAngleGain;
};

template <class T>
struct TurnedLossInput {
  // Its targets are (T, 7): with the angle in radians behind the box, whose sides are fractions of the
  // input's width and height whatever the angle.
  DetectionLossInput<T> detection;
  std::span<const MapView<const T>> angles;          // one a level, (N, 1, H, W): logits
  std::span<const MapView<T>> angle_gradients = {};  // as detection.gradients; both or none of them
};

class TurnedLoss {
 public:
  TurnedLoss(int classes, int reg_max, const std::vector<int>& strides,
             const TurnedLossOptions& options = {});

  // As DetectionLoss has it.
  template <class T>
  TurnedTerms operator()(const TurnedLossInput<T>& input) const {
    return terms(input, assign(input));
  }

  // Its two halves: no gradient flows through the first.
  template <class T>
  DetectionAssignment assign(const TurnedLossInput<T>& input) const;
  template <class T>
  TurnedTerms terms(const TurnedLossInput<T>& input, const DetectionAssignment& assignment) const;

 private:
  TurnedLossOptions options_;
  int classes_, reg_max_;
  DetectionLoss detection_;  // for its checks and the class term
};

}  // namespace marrow::loss
