// The YOLOv8 head's decode; see DetectDecode in graph/operation.h.
#pragma once

#include "marrow/base/tensor.h"
#include "marrow/engine/step.h"
#include "marrow/graph/operation.h"

namespace marrow::engine {

// maps: one blocked raw map a level; dst planar (N, 4 + classes, 1, anchors); bins: the values of the
// parameter;
// least_score: see EngineOptions.
StepPtr make_detect_decode(const DetectDecode& decode, std::vector<View> maps, const View& dst,
                           const Tensor& bins, float least_score, const Kernels& kernels);

}  // namespace marrow::engine
