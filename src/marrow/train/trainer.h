// The training loop: batches, optimizer steps, the moving average, validation, checkpoints, and the way back
// from a non-finite loss. Source of the recipe: YOLOv8's training loop.
//
// A run is a function of its options, its data and what computes its steps: a checkpoint is of an optimizer
// step, with no gradient pending, and whatever came after it is done again when the run is resumed.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "marrow/base/stopwatch.h"
#include "marrow/train/recipe/progress.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/recipe/schedule.h"
#include "marrow/train/step/training_executor.h"
#include "marrow/train/step/workers.h"
#include "marrow/train/task.h"
#include "marrow/train/train_checkpoint.h"

namespace marrow::train {

struct TrainerSettings {
  std::filesystem::path folder;  // of the run; weights/ in it exists
  TrainingBackend backend;
  std::vector<std::string> frozen = {};  // as in ExecutorSettings
  std::vector<Value> given = {};         // the same; the task's batches bring them
  bool on_terminal = false;
  RunPlots* plots = nullptr;  // that the task shows to, too; none: no plots
  // The others of the run; outlive the trainer. None: it is alone. Only the first one writes files; every
  // other one does the same steps.
  Workers* workers = nullptr;
};

class Trainer {
 public:
  // `start` begins a run with the state of `snapshot.state`, fresh or from a checkpoint. `model` describes
  // the network. `options` are resolved: batch and imgsz as they are used. Throws Error{kFormat} for a state
  // that contradicts itself; of another dataset than before it says so, and begins the epoch anew.
  Trainer(const TrainOptions& options, model::Model model, const TrainSnapshot& start, Task& task,
          TrainerSettings settings);

  // Trains to the end, or until a signal asks to stop; then last.safetensors can be resumed. Throws
  // Error{kModel} when the loss does not stay finite, Error{kFile} when a checkpoint cannot be written (the
  // one before is intact).
  RunOutcome run();

 private:
  enum class EpochEnd { kDone, kStopped, kDiverged };

  ScheduleOptions schedule_options() const;
  uint64_t seed() const;
  size_t numbers_of_validation() const;
  // An optimizer step worth keeping, which the run goes back to when the loss is not finite.
  struct GoodStep {
    ExecutorState executor;
    StepState state;
  };
  void go_back_to(const GoodStep& step);
  GoodStep this_step();
  TrainSnapshot snapshot() const;  // of the good step, for a file
  // Of a run that has ended, with this state; the same for the same run.
  TrainSnapshot finished(const ExecutorState& latest) const;
  double mean_loss(size_t k) const;
  void write_last();
  std::filesystem::path weights_path(const std::string& name) const;

  EpochEnd train_epoch();
  bool optimizer_step(const IterationSettings& settings);
  void count_towards_estimate(double seconds);
  bool is_first() const { return settings_.workers == nullptr || communicator().is_first(); }
  distributed::Communicator& communicator() const { return settings_.workers->communicator(); }
  // What all workers are to see alike: the sum; whether it is so for any of them; the first one's number.
  double all_workers(double here) const;
  bool any_worker(bool here) const;
  double first_workers(double here) const;
  bool is_asked_to_stop() const;
  // The same, and in one message: a number becomes its sum over all workers.
  bool is_asked_to_stop(int64_t& number) const;
  ValidationResult first_workers(ValidationResult result) const;
  bool scales_loss() const { return settings_.backend.precision == "fp16"; }
  std::string explain_loss(const Task::Batch& batch);
  void recover(const std::string& what);
  bool finish_epoch();  // whether the run goes on
  bool is_measured(int epoch) const;
  std::optional<ValidationResult> validated(int epoch);
  double elapsed() const;
  void apply_time_limit();
  void set_activation_slopes(int epoch);
  RunOutcome stopped();
  RunOutcome finish();
  void leave_results(const Task::Validation& validation, const ExecutorState& latest);

  TrainOptions options_;
  model::Model model_;
  Task& task_;
  TrainerSettings settings_;
  TrainState state_;
  OptimizerChoice choice_;
  Schedule schedule_;
  std::vector<ParameterGroup> groups_;
  std::unique_ptr<TrainingExecutor> executor_;
  EarlyStopping stopping_;
  std::optional<ResultsCsv> results_;  // the first worker's
  Progress progress_;
  GoodStep good_step_;  // the latest
  std::string latest_problem_;
  Stopwatch clock_;
  double seconds_before_ = 0;
  int64_t batches_timed_ = 0;  // for the estimate
  double seconds_timed_ = 0;
};

// VanillaNet's slope in an epoch (from 0): 0 at first, 1 from `epochs` on, along a line or half a cosine.
double activation_slope(int epoch, double epochs, const std::string& shape);

}  // namespace marrow::train
