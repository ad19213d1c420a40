// Whole runs by several workers, which are threads here.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "marrow/model/import.h"
#include "support/expect_near.h"
#include "support/thread_transport.h"
#include "train/runs/whole_runs.h"

namespace marrow::testing {

inline train::ChooseBackend backend_with(distributed::Communicator& communicator) {
  return [&communicator](const train::TrainOptions& options) {
    train::TrainingBackend backend = train::native_backend(options);
    backend.communicator = &communicator;
    backend.program = "tests";
    return backend;
  };
}

inline void expect_none(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

inline void run_together(int workers, const train::TrainOptions& options) {
  expect_none(run_workers(workers, [&](distributed::Communicator& communicator) {
    EXPECT_EQ(train::run_training(options, backend_with(communicator)), train::RunOutcome::kFinished);
  }));
}

// Their last weights.
template <class Project>
void expect_near_runs(const Project& project, const std::string& a, const std::string& b, double tolerance) {
  const auto weights = [&](const std::string& name) {
    return model::load_trained(project.weights(name, "last")).weights;
  };
  expect_near(weights(b), weights(a), tolerance);
}

}  // namespace marrow::testing
