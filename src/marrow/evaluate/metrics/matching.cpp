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

namespace {

using Taken = std::vector<ThresholdBits>;  // by truth box: the thresholds at which it has its detection

// `overlap`: of one detection with a truth box by its number.
template <class OverlapWith>
void match_free(std::span<const TruthBox> truth, int class_id, const OverlapWith& overlap, Taken& taken,
                ThresholdBits& hits) {
  const auto& thresholds = float_iou_thresholds();
  std::array<float, kIouThresholds> best_iou{};
  std::array<size_t, kIouThresholds> best{};
  best.fill(truth.size());
  for (size_t i = 0; i < truth.size(); ++i) {
    if (truth[i].class_id != class_id) continue;
    const float iou = overlap(i);
    for (size_t t = 0; t < kIouThresholds && iou >= thresholds[t]; ++t)
      if (!taken[i][t] && (best[t] == truth.size() || iou > best_iou[t])) {
        best[t] = i;
        best_iou[t] = iou;
      }
  }
  for (size_t t = 0; t < kIouThresholds; ++t) {
    if (best[t] == truth.size()) continue;
    taken[best[t]].set(t);
    hits.set(t);
  }
}

template <class OverlapWith>
void match_best(std::span<const TruthBox> truth, int class_id, const OverlapWith& overlap, Taken& taken,
                ThresholdBits& hits) {
  const auto& thresholds = float_iou_thresholds();
  // A detection's best truth box is the same at every threshold that it reaches.
  float best_iou = thresholds[0];
  size_t best = truth.size();
  for (size_t i = 0; i < truth.size(); ++i) {
    if (truth[i].class_id != class_id) continue;
    const float iou = overlap(i);
    if (iou >= best_iou) {
      best_iou = iou;
      best = i;
    }
  }
  if (best == truth.size()) return;
  for (size_t t = 0; t < kIouThresholds && best_iou >= thresholds[t]; ++t) {
    if (taken[best][t]) continue;
    taken[best].set(t);
    hits.set(t);
  }
}

}  // namespace

Overlap overlap_of_boxes(std::span<const TruthBox> truth,
                         std::span<const detect::InputDetection> detections) {
  return [truth, detections](size_t i, size_t d) { return box_iou(truth[i].box, detections[d].box); };
}

std::vector<MatchedDetection> match_detections(std::span<const TruthBox> truth,
                                               std::span<const detect::InputDetection> detections,
                                               const Overlap& overlap, Rules rules) {
  Taken taken(truth.size());
  std::vector<MatchedDetection> matched;
  matched.reserve(detections.size());
  for (size_t d = 0; d < detections.size(); ++d) {
    const int class_id = detections[d].class_id;
    MatchedDetection& one = matched.emplace_back(MatchedDetection{detections[d].confidence, class_id, {}});
    const auto with = [&](size_t i) { return overlap(i, d); };
    if (rules == Rules::k84)
      match_free(truth, class_id, with, taken, one.true_positive);
    else
      match_best(truth, class_id, with, taken, one.true_positive);
  }
  return matched;
}

std::vector<MatchedDetection> match_detections(std::span<const TruthBox> truth,
                                               std::span<const detect::InputDetection> detections,
                                               Rules rules) {
  return match_detections(truth, detections, overlap_of_boxes(truth, detections), rules);
}

}  // namespace marrow::evaluate
