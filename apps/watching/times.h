// How long predictions took, for people.
#pragma once

#include <cstdint>
#include <string>

#include "marrow/predict/detector.h"

namespace marrow::cli {

// "1.0ms preprocess, 20.3ms inference, 0.4ms postprocess"
std::string times_text(const predict::PredictTimes& times);

// Of all images or frames of a run.
class RunTimes {
 public:
  void add(const predict::PredictTimes& times);
  int64_t count() const { return count_; }
  // times_text of the mean; of a run that saw something.
  std::string mean_text() const;

 private:
  predict::PredictTimes total_;
  int64_t count_ = 0;
};

}  // namespace marrow::cli
