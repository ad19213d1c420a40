// Where a run stands just after an optimizer step: what a resumed run needs to go on as if it had never
// stopped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "marrow/train/recipe/early_stopping.h"
#include "marrow/train/recipe/optimizer_choice.h"
#include "marrow/train/step/training_executor.h"

namespace marrow::train {

enum class RunOutcome { kFinished, kStopped };  // stopped: it can be resumed

// What a validation found.
struct ValidationResult {
  std::vector<double> metrics;  // as results.csv has them
  std::vector<double> losses;
  double fitness = 0;
};

// What a run has decided and found. A run that goes back to an earlier step keeps it.
struct RunRecord {
  int epochs = 0;    // of the whole run; a time limit re-estimates it
  std::string data;  // Task::data_fingerprint; empty in files of earlier versions
  // What the run began with, so that `auto` does not choose anew for another number of epochs. None in files
  // of earlier versions.
  std::optional<OptimizerChoice> optimizer;
  int batch = 0;  // images, of a run that asked for a share of the memory too; 0 in files of earlier versions
  int recoveries = 0;  // times that a non-finite loss sent the run back
  // Of epochs that ended after the optimizer step that the run would go back to, so that they need no second
  // validation.
  std::map<int, ValidationResult> validations;
};

// Where the loop stands after an optimizer step.
struct StepState {
  int epoch = 0;                  // of the next batch, from 0
  int64_t batches_per_epoch = 0;  // of the dataset as it was; 0: unknown
  int64_t next_batch = 0;         // in that epoch
  int64_t last_step = -1;         // the iteration after which the optimizer stepped last
  std::vector<double> loss_sums;  // over the epoch's batches so far
  EarlyStopping::State best;
  double seconds = 0;  // trained so far
  double loss_scale = 65536;
  int steps_since_scale = 0;
};

struct TrainState : RunRecord, StepState {};

// Everything a run consists of.
struct TrainSnapshot : ExecutorState {
  TrainState state;
};

// Makes a state that was read from a file fit the run: an epoch of `batches_per_epoch`, with so many losses
// and so many numbers a validation. Of a dataset with another number of batches the epoch begins anew;
// returns what to say of it, or nothing. Throws Error{kFormat} for a state that contradicts itself.
std::string fit_state(TrainState& state, int64_t batches_per_epoch, size_t losses, size_t measured);

// All but the tensors, as JSON and back; exact. Throws Error{kFormat} beginning with `where`.
std::string to_json_text(const TrainSnapshot& snapshot);
TrainSnapshot snapshot_of(const std::string& json_text, const std::string& where);

}  // namespace marrow::train
