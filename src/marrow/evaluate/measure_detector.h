// The validation of a detector on a dataset with everything at its default, for commands that only want the
// numbers.
#pragma once

#include <string>

#include "marrow/data/dataset.h"
#include "marrow/engine/engine.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/model/checkpoint.h"

namespace marrow::evaluate {

struct MeasureOptions {
  std::string split = "val";
  int image_size = 640;  // pixels; rounded up to a multiple of the largest stride
  engine::EngineOptions engine;
};

// On the CPU engine, in the tiles that the model was trained on or in rectangular batches, and classes
// matched as match_classes does, as `marrow val`. REQUIRES: as many classes in the dataset as the model has.
// Throws what open_split throws.
DetectionReport measure_detector(const model::TrainedModel& trained, const data::Dataset& dataset,
                                 const MeasureOptions& options);

}  // namespace marrow::evaluate
