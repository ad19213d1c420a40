// The class term of the detection loss, as if every anchor were background: softplus of every logit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marrow/loss/detection_input.h"
#include "marrow/loss/logit_loops.h"

namespace marrow::loss {

// Anchors that have no part in the term: one list of marks an image, level by level, row by row; an empty
// list leaves none out.
using LeftOut = std::vector<std::vector<uint8_t>>;

// The sum over images, anchors and classes of weights[class] (empty: 1) * softplus(logit). Writes
// scale * weight * sigmoid(logit) as the gradients of the class maps, and 0 where an anchor is left out.
template <class T>
double background_class_term(const DetectionLossInput<T>& input, std::span<const double> weights,
                             const LeftOut& left_out, double scale, const LogitLoops<T>& loops);

}  // namespace marrow::loss
