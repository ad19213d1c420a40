// Which class is taken for which. Rows are what was predicted, columns what is true.
//
// A plain value; one writer.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "marrow/evaluate/metrics/matching.h"

namespace marrow::evaluate {

class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int size);  // of size x size, all 0

  int size() const { return size_; }
  int64_t at(int predicted, int truth) const { return cells_[index(predicted, truth)]; }
  void add(int predicted, int truth, int64_t count = 1) { cells_[index(predicted, truth)] += count; }

  // Each column divided by its sum (+ 1e-9), row-major.
  std::vector<double> normalised() const;

  nlohmann::ordered_json json() const;  // a list of rows of counts

  bool operator==(const ConfusionMatrix&) const = default;

 private:
  // 0 <= predicted, truth < size.
  size_t index(int predicted, int truth) const;

  int size_ = 0;
  std::vector<int64_t> cells_;
};

constexpr float kConfusionIou = 0.45f;

// Validation's default, so low that the whole curve of precision by recall is seen.
constexpr float kValidationConfidence = 0.001f;
// The same of turned boxes: those below cost much and say little.
constexpr float kTurnedConfidence = 0.01f;

// The confidence above which a detection enters the matrix when validation runs at `confidence`: validation's
// default would fill it with noise, so that prediction's takes its place.
float confusion_confidence(float confidence, bool turned);

// Adds one image to a matrix of classes + 1, where the last row and column are the background. Matching
// ignores classes. Overlaps count strictly above kConfusionIou, detections strictly above `confidence`. Class
// numbers lie below classes.
// 8.4: by falling confidence, each detection takes the truth box it overlaps most among those still free.
// 8.3: each detection goes for the truth box it overlaps most, and each truth box to the detection that
// overlaps it most; of equals the last one, as in that implementation.
void add_detections(ConfusionMatrix& matrix, std::span<const TruthBox> truth,
                    std::span<const detect::InputDetection> detections, float confidence,
                    Rules rules = kDefaultRules);
// The same by another overlap.
void add_detections(ConfusionMatrix& matrix, std::span<const TruthBox> truth,
                    std::span<const detect::InputDetection> detections, const Overlap& overlap,
                    float confidence, Rules rules = kDefaultRules);

}  // namespace marrow::evaluate
