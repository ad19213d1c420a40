// How the detection loss weighs its terms and assigns predictions to objects.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/base/rules.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::loss {

// alignment = score^alpha * IoU^beta; an object takes the top_k anchors inside its box that align best.
struct AssignerOptions {
  int top_k = 10;
  double alpha = 0.5;
  double beta = 6.0;
  // Pixels: an object's side that is shorter counts as so long, about its middle, where anchors inside it are
  // looked for; 0: as it is.
  double smallest_side = 0;
  int top_k_after = 0;  // keep so many of an object's anchors once each has one object; 0: all
  // Anchors that were picked with an alignment of 0 count as foreground, with a weight of 0.
  bool with_unweighted = false;
};

struct DetectionLossOptions {
  double box_gain = train::kBoxGain;
  double class_gain = train::kClassGain;
  double dfl_gain = train::kDflGain;
  std::vector<double> class_weights = {};  // of the class loss, one a class; empty: 1
  Rules rules = kDefaultRules;
  AssignerOptions assigner = {};
};

// The assigner's options for a head of these strides. By the rules of 8.4 small objects count as larger ones,
// which have the side of a cell of the second level.
AssignerOptions assigner_of(const DetectionLossOptions& options, std::span<const int> strides);

// Of the two branches of a head that is trained by both: one gives an object several predictions, the other
// one. Source: YOLOv10, Wang et al. 2024.
DetectionLossOptions one_to_many(DetectionLossOptions options);
DetectionLossOptions one_to_one(DetectionLossOptions options);

// What the loss of the first branch counts, the second's being the rest of 1: from 0.8 in the first epoch
// down to 0.1 in the last, of `epochs`; `finished`: epochs before this one. Source: Ultralytics 8.4.
double one_to_many_share(int finished, int epochs);

// cls_pw: (1 / count)^power, over the mean of these; a class without objects has the mean of the others.
// Empty where the power is 0 or nothing is counted.
std::vector<double> class_weights(std::span<const int64_t> counts, double power);

}  // namespace marrow::loss
