// The detection heads of YOLOv8 and its successors: anchor-free, one box branch and one class branch a level,
// boxes as distributions over distances. Source: Generalized Focal Loss, Li et al. 2020 (the integral form of
// a box side).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "marrow/graph/builder.h"
#include "marrow/nn/blocks/module.h"

namespace marrow::nn {

inline constexpr int kMostBins = 256;

struct DetectOptions {
  int classes = 80;
  Activation activation{};
  // A class branch of 0 channels has max(C_0, min(classes, 100)). A network fine-tuned from one with other
  // classes may keep the width of its source.
  HeadSettings settings = {};
};

// The two branches on every level. `levels`: maps (N, C_k, H_k, W_k), finest first; strides must be known.
// Returns the raw maps (N, 4 * reg_max + classes, H_k, W_k): box logits (side-major: left, top, right,
// bottom; bins inside a side), then class logits. Parameters "<prefix>cv2.<k>.*" (boxes) and
// "<prefix>cv3.<k>.*" (classes) under the builder's path. Biases start at 1 for boxes and at log(5 / classes
// / (640 / stride)^2) for classes: about five objects in an image of 640 pixels.
//   box branch     3x3 unit, 3x3 unit, 1x1; max(16, C_0 / 4, 4 * reg_max) channels inside
//   class branch   the same, or in YOLO11's form: depthwise 3x3 and 1x1 units, twice, then 1x1
std::vector<Value> detect_branches(GraphBuilder& g, std::span<const Value> levels, std::string_view prefix,
                                   const DetectOptions& options);

// The branches and the decode; output "output0" (N, 4 + classes, anchors), taps "feat0", "feat1", ... Returns
// the raw maps. An end-to-end head has a second pair of branches, "one2one_cv2" and "one2one_cv3", on the
// same maps, whose boxes need no suppression: output kOneToOneOutput of the same form, taps "one2one_feat0",
// ... Source: YOLOv10, Wang et al. 2024, section 3.1 (dual label assignments).
std::vector<Value> detect_head(GraphBuilder& g, std::span<const Value> levels, const DetectOptions& options);

// The decode of raw maps that detect_branches() made, with the maps of an extra; output "output0", taps
// "feat0", "feat1", ...
void decode_head(GraphBuilder& g, std::span<const Value> raw, const DetectOptions& options,
                 DetectExtra extra = DetectExtra::kNone, std::span<const Value> extras = {});

// A third branch on every level, "cv4.<k>": two 3x3 units and a 1x1 convolution, hidden channels
// max(C_0 / 4, channels). Returns its maps (N, channels, H_k, W_k); they are the taps "<tap>0", ...
std::vector<Value> third_branches(GraphBuilder& g, std::span<const Value> levels, int channels,
                                  std::string_view tap, const Activation& activation);

}  // namespace marrow::nn
