// How often a classifier is right: top-1, top-5, class by class, and which class is taken for which.
//
// A plain accumulator; one writer.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "marrow/evaluate/metrics/confusion_matrix.h"

namespace marrow::evaluate {

struct ClassAccuracy {
  int64_t images = 0;
  int64_t top1 = 0;  // of them right at the first guess
  int64_t top5 = 0;  // ... within the first five, or within all where there are fewer classes

  double top1_share() const { return share(top1); }
  double top5_share() const { return share(top5); }

 private:
  double share(int64_t right) const {
    return images == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(images);
  }
};

class ClassificationValidator {
 public:
  explicit ClassificationValidator(std::vector<std::string> names);

  // scores: one a class, logits or probabilities; of equal ones the lower class comes first, NaN comes last.
  // Throws Error{kShape} when there are not as many scores as names, or the class is not among them.
  void add(std::span<const float> scores, int true_class);

  // All counts as numbers, to be added to those of other workers, who take other images.
  std::vector<double> counts() const;
  void set_counts(std::span<const double> counts);

  const std::vector<std::string>& names() const { return names_; }
  const ClassAccuracy& total() const { return total_; }
  const std::vector<ClassAccuracy>& classes() const { return classes_; }
  const ConfusionMatrix& confusion() const { return confusion_; }
  // By which the best checkpoint is chosen: the mean of both shares.
  double fitness() const { return (total_.top1_share() + total_.top5_share()) / 2.0; }

  // A header, the line "all" and, with per_class, one line a class that has images.
  std::string table(bool per_class) const;
  // Which class was taken for which: a heading and at most `most` lines "WBC for RBC: 3 of 60", the most
  // frequent first. Empty when nothing was taken for anything else.
  std::string mistakes(size_t most) const;
  // {"images", "top1", "top5", "fitness", "per_class": [{"class", "name", "images", "top1", "top5"}],
  // "confusion_matrix": rows of counts}
  nlohmann::ordered_json json() const;

 private:
  std::vector<std::string> names_;
  ClassAccuracy total_;
  std::vector<ClassAccuracy> classes_;
  ConfusionMatrix confusion_;
};

}  // namespace marrow::evaluate
