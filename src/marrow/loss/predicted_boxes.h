// The boxes that a detection head predicts.
#pragma once

#include <span>

#include "marrow/loss/anchors.h"
#include "marrow/loss/box_iou.h"
#include "marrow/loss/detection_input.h"
#include "marrow/loss/logit_loops.h"

namespace marrow::loss {

// boxes[anchor], in pixels, of every marked anchor of an image: its centre and the expectations of its sides'
// distributions, or the sides themselves where reg_max is 1.
template <class T>
void predict_boxes(std::span<const AnchorLevel> levels, std::span<const LevelMaps<const T>> maps,
                   int64_t image, int reg_max, std::span<const uint8_t> marks, const LogitLoops<T>& loops,
                   std::span<MeasuredBox> boxes);

}  // namespace marrow::loss
