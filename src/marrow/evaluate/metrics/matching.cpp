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

float box_iou(const detect::BoxXyxy& a, const detect::BoxXyxy& b) {
  const float width = std::max(std::min(a[2], b[2]) - std::max(a[0], b[0]), 0.0f);
  const float height = std::max(std::min(a[3], b[3]) - std::max(a[1], b[1]), 0.0f);
  const float shared = width * height;
  const float areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
  return shared / (areas - shared + 1e-7f);
}

std::vector<MatchedDetection> match_detections(std::span<const TruthBox> truth,
                                               std::span<const detect::Detection> detections) {
  const auto& thresholds = float_iou_thresholds();
  std::vector<ThresholdBits> taken(truth.size());
  std::vector<MatchedDetection> matched;
  matched.reserve(detections.size());
  for (const detect::Detection& detection : detections) {
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
