#include "marrow/evaluate/metrics/confusion_matrix.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <nlohmann/json.hpp>

namespace marrow::evaluate {

ConfusionMatrix::ConfusionMatrix(int size)
    : size_(size), cells_(static_cast<size_t>(size) * static_cast<size_t>(size)) {}

size_t ConfusionMatrix::index(int predicted, int truth) const {
  assert(predicted >= 0 && predicted < size_ && truth >= 0 && truth < size_);
  return static_cast<size_t>(predicted) * static_cast<size_t>(size_) + static_cast<size_t>(truth);
}

std::vector<double> ConfusionMatrix::normalised() const {
  std::vector<double> result(cells_.size());
  for (int truth = 0; truth < size_; ++truth) {
    double sum = 1e-9;
    for (int predicted = 0; predicted < size_; ++predicted) sum += static_cast<double>(at(predicted, truth));
    for (int predicted = 0; predicted < size_; ++predicted)
      result[index(predicted, truth)] = static_cast<double>(at(predicted, truth)) / sum;
  }
  return result;
}

nlohmann::ordered_json ConfusionMatrix::json() const {
  auto rows = nlohmann::ordered_json::array();
  for (int predicted = 0; predicted < size_; ++predicted) {
    auto row = nlohmann::ordered_json::array();
    for (int truth = 0; truth < size_; ++truth) row.push_back(at(predicted, truth));
    rows.push_back(std::move(row));
  }
  return rows;
}

float confusion_confidence(float confidence, bool turned) {
  return confidence == (turned ? kTurnedConfidence : kValidationConfidence) ? detect::NmsOptions().confidence
                                                                            : confidence;
}

namespace {

constexpr size_t kUnowned = SIZE_MAX;
using Owners = std::vector<size_t>;  // by truth box: the detection that it goes to, or kUnowned

// The truth box that overlaps the detection most among those that pass `may`; of equals the first, or the
// last.
template <class May>
std::pair<size_t, float> best_truth(size_t truth, size_t detection, const Overlap& overlap,
                                    bool last_of_equals, const May& may) {
  size_t best = kUnowned;
  float best_iou = kConfusionIou;
  for (size_t i = 0; i < truth; ++i) {
    const float iou = overlap(i, detection);
    if (!(iou > kConfusionIou) || !may(i)) continue;
    if (best != kUnowned && !(iou > best_iou || (last_of_equals && iou == best_iou))) continue;
    best_iou = iou;
    best = i;
  }
  return {best, best_iou};
}

Owners owners_by_confidence(size_t truth, std::span<const detect::InputDetection> detections,
                            const Overlap& overlap, float confidence) {
  std::vector<size_t> order;
  for (size_t d = 0; d < detections.size(); ++d)
    if (detections[d].confidence > confidence) order.push_back(d);
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t d) { return detections[d].confidence; });
  Owners owner(truth, kUnowned);
  for (const size_t d : order) {
    const auto [best, iou] =
        best_truth(truth, d, overlap, false, [&](size_t i) { return owner[i] == kUnowned; });
    if (best != kUnowned) owner[best] = d;
  }
  return owner;
}

Owners owners_by_overlap(size_t truth, std::span<const detect::InputDetection> detections,
                         const Overlap& overlap, float confidence) {
  Owners owner(truth, kUnowned);
  std::vector<float> owner_iou(truth);
  for (size_t d = 0; d < detections.size(); ++d) {
    if (!(detections[d].confidence > confidence)) continue;
    const auto [best, iou] = best_truth(truth, d, overlap, true, [](size_t) { return true; });
    if (best == kUnowned || (owner[best] != kUnowned && iou < owner_iou[best])) continue;
    owner[best] = d;
    owner_iou[best] = iou;
  }
  return owner;
}

}  // namespace

void add_detections(ConfusionMatrix& matrix, std::span<const TruthBox> truth,
                    std::span<const detect::InputDetection> detections, float confidence, Rules rules) {
  add_detections(matrix, truth, detections, overlap_of_boxes(truth, detections), confidence, rules);
}

void add_detections(ConfusionMatrix& matrix, std::span<const TruthBox> truth,
                    std::span<const detect::InputDetection> detections, const Overlap& overlap,
                    float confidence, Rules rules) {
  const int background = matrix.size() - 1;
  const Owners owner = rules == Rules::k84
                           ? owners_by_confidence(truth.size(), detections, overlap, confidence)
                           : owners_by_overlap(truth.size(), detections, overlap, confidence);
  std::vector<bool> matched(detections.size());
  for (size_t i = 0; i < truth.size(); ++i) {
    if (owner[i] == kUnowned) {
      matrix.add(background, truth[i].class_id);
    } else {
      matched[owner[i]] = true;
      matrix.add(detections[owner[i]].class_id, truth[i].class_id);
    }
  }
  for (size_t d = 0; d < detections.size(); ++d) {
    if (detections[d].confidence > confidence && !matched[d]) matrix.add(detections[d].class_id, background);
  }
}

}  // namespace marrow::evaluate
