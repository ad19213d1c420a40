#include "marrow/evaluate/metrics/confusion_matrix.h"

#include <cassert>
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

float confusion_confidence(float confidence) {
  return confidence == kValidationConfidence ? detect::NmsOptions().confidence : confidence;
}

void add_detections(ConfusionMatrix& matrix, std::span<const TruthBox> truth,
                    std::span<const detect::InputDetection> detections, float confidence) {
  constexpr size_t kNone = SIZE_MAX;
  const int background = matrix.size() - 1;
  std::vector<size_t> owner(truth.size(), kNone);  // the detection that a truth box goes to
  std::vector<float> owner_iou(truth.size());
  for (size_t d = 0; d < detections.size(); ++d) {
    if (!(detections[d].confidence > confidence)) continue;
    size_t best = kNone;
    float best_iou = kConfusionIou;
    for (size_t i = 0; i < truth.size(); ++i) {
      const float iou = box_iou(truth[i].box, detections[d].box);
      if (iou > kConfusionIou && iou >= best_iou) {
        best_iou = iou;
        best = i;
      }
    }
    if (best == kNone || (owner[best] != kNone && best_iou < owner_iou[best])) continue;
    owner[best] = d;
    owner_iou[best] = best_iou;
  }
  std::vector<bool> matched(detections.size());
  for (size_t i = 0; i < truth.size(); ++i) {
    if (owner[i] == kNone) {
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
