// Which detections of one image are true positives, by the rule of YOLOv8's reference implementation.
//
// Pure functions; float32 throughout, because the reference implementation compares float32 overlaps with
// float32 thresholds.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "marrow/base/rules.h"
#include "marrow/detect/nms.h"

namespace marrow::evaluate {

constexpr size_t kIouThresholds = 10;  // 0.5, 0.55 ... 0.95

// A box of the ground truth.
struct TruthBox {
  Box<InputPixels> box = {};
  int class_id = 0;
};

// Bit t: a true positive at the t-th threshold.
using ThresholdBits = std::bitset<kIouThresholds>;

// What average precision needs to know of a detection.
struct MatchedDetection {
  float confidence = 0.0f;
  int class_id = 0;
  ThresholdBits true_positive;
};

// linspace(0.5, 0.95, 10) in float32.
const std::array<float, kIouThresholds>& float_iou_thresholds();

// Shared area / (sum of areas - shared area + 1e-7). NaN for boxes that are not finite.
float box_iou(const Box<InputPixels>& a, const Box<InputPixels>& b);

// How much an object of the ground truth and a detection overlap, by their numbers: of boxes, masks,
// keypoints.
using Overlap = std::function<float(size_t truth, size_t detection)>;
Overlap overlap_of_boxes(std::span<const TruthBox> truth, std::span<const detect::InputDetection> detections);

// One entry a detection, in the order given, which is that of falling confidence as NMS returns it.
// 8.4: at each threshold a detection takes the truth box of its class that it overlaps most among those still
// free there, the first of equals, if it reaches the threshold with it.
// 8.3: a truth box goes to the first detection of its class whose own best truth box it is, not to the one
// that overlaps it most. Of truth boxes that overlap a detection equally the last one is its best, as in that
// implementation's reversed sort.
std::vector<MatchedDetection> match_detections(std::span<const TruthBox> truth,
                                               std::span<const detect::InputDetection> detections,
                                               Rules rules = kDefaultRules);
// The same by another overlap, which is asked where classes agree.
std::vector<MatchedDetection> match_detections(std::span<const TruthBox> truth,
                                               std::span<const detect::InputDetection> detections,
                                               const Overlap& overlap, Rules rules = kDefaultRules);

}  // namespace marrow::evaluate
