// Learning rates, momentum and accumulation of a training run: pure functions of the iteration, so that a
// resumed run meets the same numbers. Plain values: any thread. Source: the YOLOv8 training recipe.
#pragma once

#include <cstdint>
#include <optional>

#include "marrow/base/rules.h"

namespace marrow::train {

struct ScheduleOptions {
  int64_t batches_per_epoch = 1;
  int epochs = 100;
  int batch = 16;               // images
  int nominal_batch = 64;       // images that one optimizer step should stand for
  double lr0 = 0.01;            // of the first epoch after the warm-up
  double lrf = 0.01;            // the last rate is lr0 * lrf
  bool cosine = false;          // otherwise linear
  double momentum = 0.937;      // that the warm-up ends at
  double own_momentum = 0.937;  // the optimizer's, where there is no warm-up
  double warmup_epochs = 3.0;   // 0: none
  double warmup_momentum = 0.8;
  double warmup_bias_lr = 0.1;
  // 8.3: a warm-up has at least kMinWarmupIterations. 8.4: it ends before the last epoch, and a run
  // accumulates no more batches than it has.
  Rules rules = kDefaultRules;
  bool timed = false;  // the number of epochs follows from a time, and limits nothing
};

// With 8.3's rules a small dataset warms up over so many iterations, however few epochs were asked for.
inline constexpr int64_t kMinWarmupIterations = 100;

// What iteration `i` of the run trains with.
struct IterationSettings {
  double bias_lr = 0;  // of the biases
  double lr = 0;       // of all other parameters
  double momentum = 0;
  int accumulate = 1;  // iterations between optimizer steps
};

class Schedule {
 public:
  // Every count is at least 1.
  explicit Schedule(const ScheduleOptions& options);

  // lr / lr0 of an epoch (from 0), warm-up aside: falls from 1 to lrf, linearly or along half a cosine.
  double lr_factor(int epoch) const;

  // iteration: batches since the start of the run, from 0. While it is within the warm-up everything is
  // interpolated linearly: the biases' rate falls from warmup_bias_lr, the others' rises from 0, momentum
  // rises from warmup_momentum, accumulate from 1.
  IterationSettings at(int64_t iteration) const;

  // Whether the optimizer steps after this iteration, when it last did after `last_step` (-1: never).
  bool steps_after(int64_t iteration, int64_t last_step) const;

  // The last iteration of the epoch after which the optimizer steps, given the step before the epoch; empty
  // when the whole epoch only accumulates.
  std::optional<int64_t> last_step_of_epoch(int epoch, int64_t last_step) const;

  // weight_decay is stated for nominal_batch images a step; this is the value for the optimizer.
  double scaled_weight_decay(double weight_decay) const;

  int64_t warmup_iterations() const { return warmup_; }
  const ScheduleOptions& options() const { return options_; }

 private:
  double batches_of_step() const;

  ScheduleOptions options_;
  int64_t warmup_ = -1;  // the last iteration of the warm-up; -1: none
};

}  // namespace marrow::train
