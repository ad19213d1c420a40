// Whole runs by their options alone: what computes their steps is said here, for all tests of runs.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "marrow/model/checkpoint.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/run_training.h"
#include "train/tiny_project.h"

namespace marrow::train {

inline RunOutcome run_training(const TrainOptions& options) {
  return run_training(options, native_backend);
}
inline RunOutcome resume_training(const std::filesystem::path& run,
                                  const std::function<void(TrainOptions&)>& changes) {
  return resume_training(run, changes, native_backend);
}

}  // namespace marrow::train

namespace marrow::testing {

inline const auto kNoChanges = [](train::TrainOptions&) {};

// As a run has it between two steps.
inline std::unique_ptr<train::TrainingExecutor> executor_of(const model::TrainedModel& trained,
                                                            const train::Objective& objective) {
  train::ExecutorState state;
  state.weights = state.average = trained.weights;
  return train::native_backend({}).make_executor(trained.model.graph, state, {.objective = objective});
}

// Runs these options three times: the seed decides what comes out, the numbers of workers and threads do not.
inline void expect_same_bytes_for_the_same_seed(const TinyProject& project, train::TrainOptions options) {
  options.name = "a";
  train::run_training(options);
  options.name = "b";
  options.workers = 0;
  options.threads = 2;
  train::run_training(options);
  EXPECT_EQ(project.bytes("a", "last"), project.bytes("b", "last"));
  EXPECT_EQ(project.bytes("a", "best"), project.bytes("b", "best"));
  options.name = "c";
  options.seed = 1;
  train::run_training(options);
  EXPECT_NE(project.bytes("a", "last"), project.bytes("c", "last"));
}

}  // namespace marrow::testing
