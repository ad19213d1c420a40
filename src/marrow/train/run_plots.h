// The plots and drawn batches of a training run, under the names that users of YOLOv8 know: labels.jpg,
// train_batch*.jpg, results.png, and those of its last validation (evaluate/validation_plots.h).
//
// They follow from what the run does anyway and change nothing in it: no random number is drawn, no batch
// asked for. A resumed run draws again what belongs to the batches and epochs that it does again. Nothing
// here throws; what cannot be drawn is reported once and left out. One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/base/stopwatch.h"
#include "marrow/evaluate/plots/drawing_attempts.h"
#include "marrow/evaluate/validation_plots.h"
#include "marrow/loader/classification_loader.h"
#include "marrow/loader/detection_loader.h"

namespace marrow::train {

class RunPlots {
 public:
  // The folder exists and is the run's.
  RunPlots(std::filesystem::path folder, std::vector<std::string> names,
           const std::function<void(std::string_view)>& say);

  // labels.jpg, of the images to train on.
  void labels(const loader::ImageStore& images);

  // train_batch<n>.jpg for the first three batches of the run, and for the first three of
  // `close_mosaic_epoch`. n counts from the start of the run.
  void train_batch(const loader::DetectionBatch& batch, int64_t batches_per_epoch,
                   int64_t close_mosaic_epoch);

  void train_batch(const loader::ClassificationBatch& batch, int64_t batches_per_epoch);

  // A line was added to results.csv. Draws results.png when that costs less than 1 % of the time since the
  // last one.
  void epoch_done();

  evaluate::ValidationPlots& validation() { return validation_; }  // for the last one

  void run_done();  // results.png, complete

 private:
  std::filesystem::path folder_;
  std::vector<std::string> names_;
  evaluate::DrawingAttempts attempts_;
  evaluate::ValidationPlots validation_;
  Stopwatch since_drawn_;
  double draw_cost_ = 1.0;  // of results.png; a guess until it was drawn
};

}  // namespace marrow::train
