// What the anchors that have an object add to the detection loss.
#pragma once

#include <span>

#include "marrow/loss/anchors.h"
#include "marrow/loss/assigner.h"
#include "marrow/loss/detection_input.h"

namespace marrow::loss {

struct ForegroundOptions {
  int reg_max = 16;
  std::span<const double> class_weights;  // empty: 1
  DetectionTerms scales = {};             // of the gradients
};

// Of an image, the sums over its foreground of
//   weight * (1 - complete IoU),
//   -weight * logit * class weight, of its object's class,
//   weight * the mean over the four sides of the distribution focal loss, whose distances are clamped to
//   [0, reg_max - 1.01]; where reg_max is 1, of the sides' distances as shares of the input's sides.
// Writes all gradients of the sides' maps, and those of the class maps that background_class_term() gets
// wrong.
template <class T>
DetectionTerms foreground_terms(const DetectionLossInput<T>& input, std::span<const AnchorLevel> levels,
                                int64_t image, const ImageAssignment& assignment, const Objects& objects,
                                const ForegroundOptions& options);

}  // namespace marrow::loss
