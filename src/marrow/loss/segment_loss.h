// The loss of a head that segments: that of detection, and a binary cross entropy of masks against those of
// the objects, inside their boxes. Source: YOLACT, Bolya et al. 2019, section 3.
#pragma once

#include <array>

#include "marrow/loss/detection_loss.h"

namespace marrow::loss {

// Box, mask, class, DFL, and a fifth that is 0 for YOLOv8.
using SegmentTerms = std::array<double, 5>;

template <class T>
struct SegmentLossInput {
  DetectionLossInput<T> detection;
  std::span<const MapView<const T>> coefficients;  // one a level, (N, masks, H, W)
  MapView<const T> prototypes;                     // (N, masks, h, w)
  // uint8 or int32. Either (N, h', w'): 1 + the number, among the objects of its image and in their order, of
  // the one that is seen at a pixel, and 0 where there is none; or (T, h', w'): a mask for each of the
  // targets, not 0 where it is. Where the size is another one, the prototypes are resized to it; by 8.3's
  // rules the masks to the prototypes'.
  Tensor masks;
  bool overlapping = true;  // the first of the two
  // As detection.gradients; both or none of them.
  std::span<const MapView<T>> coefficient_gradients = {};
  MapView<T> prototype_gradient = {};
};

class SegmentLoss {
 public:
  SegmentLoss(int classes, int reg_max, const std::vector<int>& strides,
              const DetectionLossOptions& options = {});

  // As DetectionLoss has it; the mask's term is weighed by the box gain.
  template <class T>
  SegmentTerms operator()(const SegmentLossInput<T>& input) const {
    return terms(input, assign(input));
  }

  // Its two halves: no gradient flows through the first.
  template <class T>
  DetectionAssignment assign(const SegmentLossInput<T>& input) const;
  template <class T>
  SegmentTerms terms(const SegmentLossInput<T>& input, const DetectionAssignment& assignment) const;

 private:
  DetectionLoss detection_;
  double gain_;
  Rules rules_;
};

}  // namespace marrow::loss
