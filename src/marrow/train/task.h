// What is trained: where its batches come from, what is minimised, and how the result is measured. The
// trainer knows no more of a task than this.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "marrow/train/step/training_executor.h"
#include "marrow/train/train_state.h"

namespace marrow::train {

class RunPlots;

class Task {
 public:
  virtual ~Task() = default;

  virtual std::vector<std::string> loss_names() const = 0;      // "box_loss", ...
  virtual std::vector<std::string> result_columns() const = 0;  // of results.csv, without rates
  virtual int64_t batches_per_epoch() const = 0;
  virtual int64_t images() const = 0;  // of an epoch of training

  // Where training goes on, and how long the run will be. Every random choice follows from seed and place.
  struct Place {
    uint64_t seed = 0;
    int epochs = 1;
    int epoch = 0;
    int64_t batch = 0;
  };
  virtual void start(const Place& place) = 0;

  // What a batch is trained towards; its terms are loss_names().
  virtual Objective objective() const = 0;
  struct Batch {
    TrainingBatch data;
    TrainingPlace place;
    int images = 0;
    int64_t instances = 0;
    int image_size = 0;
  };
  virtual Batch next() = 0;

  // Of the averaged model. The `last` one of a run leaves its plots, drawn batches and predictions. `stop` is
  // asked now and then; when it returns true, the result must not be used.
  struct Validation {
    ValidationResult result;
    std::string summary;  // for a person: after each epoch
    std::string report;   // and at the end
    std::string json;     // predictions.json, of the last one; empty where there is none
  };
  virtual Validation validate(TrainingExecutor& executor, bool last, const std::function<bool()>& stop) = 0;

  // Memory that a validation takes beside what training does; 0 where that is not known.
  virtual int64_t validation_bytes(TrainingExecutor& executor) const {
    (void)executor;
    return 0;
  }

  virtual double waited_seconds() const = 0;  // for batches, in total

  // Of the images and labels of both splits: the same wherever they lie (data/fingerprint.h).
  std::string data_fingerprint;

  // Draws what the task sees; outlives the task.
  virtual void show_to(RunPlots&) {}
};

}  // namespace marrow::train
