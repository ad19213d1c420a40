#include "marrow/evaluate/metrics/matching.h"

#include <algorithm>

namespace marrow::evaluate {

const std::array<float, kIouThresholds>& float_iou_thresholds() {
  static const auto kThresholds = [] {
    std::array<float, kIouThresholds> thresholds;
    // Steps of 0.05 in double, then rounded, give the float nearest to each decimal, as linspace does.
    for (size_t t = 0; t < kIouThresholds; ++t)
      thresholds[t] = static_cast<float>(0.5 + 0.05 * static_cast<double>(t));
    return thresholds;
  }();
  return kThresholds;
}

float box_iou(const Box<InputPixels>& a, const Box<InputPixels>& b) {
  const float width = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0f);
  const float height = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0f);
  const float shared = width * height;
  const float areas = a.area() + b.area();
  return shared / (areas - shared + 1e-7f);
}

std::vector<MatchedDetection> match_detections(std::span<const TruthBox> truth,
                                               std::span<const detect::InputDetection> detections) {
  const auto& thresholds = float_iou_thresholds();
  std::vector<ThresholdBits> taken(truth.size());
  std::vector<MatchedDetection> matched;
  matched.reserve(detections.size());
  for (const detect::InputDetection& detection : detections) {
    matched.push_back({detection.confidence, detection.class_id, {}});
    // A detection's best truth box is the same at every threshold that it reaches.
    float best_iou = thresholds[0];
    size_t best = truth.size();
    for (size_t i = 0; i < truth.size(); ++i) {
      if (truth[i].class_id != detection.class_id) continue;
      const float iou = box_iou(truth[i].box, detection.box);
      if (iou >= best_iou) {
        best_iou = iou;
        best = i;
      }
    }
    if (best == truth.size()) continue;
    for (size_t t = 0; t < kIouThresholds && best_iou >= thresholds[t]; ++t) {
      if (taken[best][t]) continue;
      taken[best].set(t);
      matched.back().true_positive.set(t);
    }
  }
  return matched;
}

}  // namespace marrow::evaluate
