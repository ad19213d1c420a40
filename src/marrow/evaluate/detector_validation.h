// Runs a detector over a loader's images and measures it, whatever executes the network: the engine for
// `marrow val`, the training executor within a run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/dataset_split.h"
#include "marrow/evaluate/metrics/detection_validator.h"
#include "marrow/evaluate/task_image.h"
#include "marrow/evaluate/validation_times.h"
#include "marrow/loader/detection_loader.h"

namespace marrow::evaluate {

struct DetectorValidationOptions {
  std::vector<std::string> names;  // of the classes
  float confidence = kValidationConfidence;
  float iou = detect::NmsOptions().iou;
  int max_detections = detect::NmsOptions().max_detections;
  bool agnostic = false;     // classes suppress each other
  bool suppress = true;      // false: predictions are those of an end-to-end head
  ValidatedHead head = {};   // its extra: what is measured beside boxes
  bool predictions = false;  // wanted in the result, for predictions.json
  Rules rules = kDefaultRules;
  data::CocoNumbers numbers = {};  // for those; empty: names of images, and class + 1
  // Is shown each batch that has images, with what was found in it: a list an image, in pixels of the batch.
  std::function<void(const loader::DetectionBatch& batch,
                     std::span<const std::vector<detect::InputDetection>> detections,
                     const ExtrasOfImage& extras)>
      show;
  // With other workers, each of which takes its share of every batch: of the bytes that it is given by each,
  // all on the first one, in order, and nothing on the others. The report is the first one's; those of the
  // others are of no images.
  std::function<std::vector<std::string>(const std::string& bytes)> gather = {};
};

struct DetectorValidation {
  DetectionReport report;
  std::vector<CocoPrediction> predictions;  // where they are wanted
  ValidationTimes times;
};

// Decoded predictions of the batch's images.
using PredictBatch = std::function<BatchPredictions(const loader::DetectionBatch& batch)>;

// How detections are chosen. 8.4: their usual limit becomes the number of objects in the fullest image where
// that is more.
detect::NmsOptions suppression(const DetectorValidationOptions& options, const loader::ImageStore& store);

// Takes every batch that the loader has left, an epoch of validation. With other workers `predict` gets
// batches without images, too. `store` is the loader's. `keep_going`, asked after each batch with the number
// done, may end it early; the report is of what was seen by then. Throws Error{kShape} when predictions do
// not fit the names.
DetectorValidation validate_detector(loader::DetectionLoader& loader, const loader::ImageStore& store,
                                     const DetectorValidationOptions& options, const PredictBatch& predict,
                                     cpu::ThreadPool& threads,
                                     const std::function<bool(int64_t batches_done)>& keep_going = {});

}  // namespace marrow::evaluate
