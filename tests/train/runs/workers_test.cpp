// Whole runs by several workers, which are threads here: what one worker would have made, once.
#include "marrow/train/step/workers.h"

#include <gtest/gtest.h>

#include <fstream>

#include "marrow/data/dataset.h"
#include "marrow/train/make_task.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/start_model.h"
#include "support/message_of.h"
#include "train/runs/runs_together.h"
#include "train/tiny_classes.h"
#include "train/tiny_task.h"

namespace marrow::train {
namespace {

using distributed::Communicator;
using testing::backend_with;
using testing::expect_near_runs;
using testing::expect_none;
using testing::kNoChanges;
using testing::run_together;
using testing::run_workers;
using testing::TinyRun;
namespace fs = std::filesystem;

ResultsTable table_of(const fs::path& run) {
  return read_results_csv(run / "results.csv");
}

void expect_near(const ResultsTable& one, const ResultsTable& other, double tolerance) {
  EXPECT_EQ(one.columns, other.columns);
  ASSERT_EQ(one.rows.size(), other.rows.size());
  for (size_t row = 0; row < one.rows.size(); ++row)
    for (size_t column = 0; column < one.columns.size(); ++column) {
      if (one.columns[column] == "time") continue;
      const double wanted = one.rows[row][column];
      EXPECT_NEAR(other.rows[row][column], wanted, tolerance * (1 + std::abs(wanted)))
          << one.columns[column] << " in row " << row;
    }
}

// Batches of 4, 4 and 2 images; of two batches a step is made, at the end of an epoch of one and two.
template <class Project>
TrainOptions ten_steps(const Project& tiny, const std::string& name) {
  TrainOptions options = tiny.options(name);
  options.epochs = 7;
  options.nbs = 8;
  options.sync_bn = true;
  return options;
}

TEST(WorkersOfARun, TenStepsAreThoseOfOne) {
  const TinyRun tiny;
  TrainOptions options = ten_steps(tiny, "one");
  run_training(options);
  for (const int workers : {2, 4}) {
    options.name = "of" + std::to_string(workers);
    run_together(workers, options);
    expect_near_runs(tiny, "one", options.name, 1e-4);
    expect_near(table_of(tiny.run("one")), table_of(tiny.run(options.name)), 1e-3);
  }
  // One folder each, whatever the number of workers.
  EXPECT_EQ(std::distance(fs::directory_iterator(tiny.folder / "runs"), {}), 3);
}

class WorkersOfATask : public ::testing::TestWithParam<marrow::Task> {};

TEST_P(WorkersOfATask, TenStepsAreThoseOfOne) {
  const testing::TinyTask tiny(GetParam());
  TrainOptions options = ten_steps(tiny, "one");
  // The large gradients of poses make more of roundings at each step.
  if (GetParam() == marrow::Task::kPose) options.lr0 = 1e-3;
  run_training(options);
  options.name = "two";
  run_together(2, options);
  expect_near_runs(tiny, "one", "two", 1e-4);
  expect_near(table_of(tiny.run("one")), table_of(tiny.run("two")), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(All, WorkersOfATask,
                         ::testing::Values(marrow::Task::kSegment, marrow::Task::kPose, marrow::Task::kObb),
                         [](const auto& info) { return std::string(task_name(info.param)); });

TEST(WorkersOfARun, SizesThatVaryAndFrozenLayersToo) {
  const TinyRun tiny;
  TrainOptions options = ten_steps(tiny, "one");
  options.multi_scale = 0.5;
  options.freeze = {"0", "1"};
  options.optimizer = "AdamW";
  options.lr0 = 1e-4;
  run_training(options);
  options.name = "two";
  run_together(2, options);
  expect_near_runs(tiny, "one", "two", 1e-4);
}

TEST(WorkersOfARun, ClassifiersToo) {
  const testing::TinyClasses tiny;
  TrainOptions options = tiny.options("one");
  options.sync_bn = true;
  run_training(options);
  options.name = "two";
  run_together(2, options);
  expect_near_runs(tiny, "one", "two", 1e-4);
  expect_near(table_of(tiny.run("one")), table_of(tiny.run("two")), 1e-3);
}

// The same bytes again, and whatever gradients travel in.
TEST(WorkersOfARun, RepeatThemselves) {
  const TinyRun tiny;
  for (const char* type : {"fp32", "bf16"}) {
    TrainOptions options = tiny.options(std::string("a") + type);
    options.reduce_type = type;
    run_together(3, options);
    options.name = std::string("b") + type;
    run_together(3, options);
    EXPECT_TRUE(tiny.bytes(std::string("a") + type, "last") == tiny.bytes(options.name, "last"));
  }
  EXPECT_TRUE(tiny.bytes("afp32", "last") != tiny.bytes("abf16", "last"));
}

void expect_the_same_validation(const TrainOptions& options) {
  data::Dataset dataset = data::read_dataset(options.data);
  const auto silent = [](std::string_view) {};
  const auto validate = [&](Communicator* communicator) {
    TrainOptions own = options;
    model::TrainedModel trained = start_model(own, dataset.names, dataset.reading, silent);
    settle(own, trained.model, dataset, silent);
    const auto task = make_task(own, trained.model, dataset, silent, {}, communicator);
    std::optional<Workers> workers;
    if (communicator != nullptr) workers.emplace(*communicator, WorkerSettings{});
    const auto executor = make_native_executor(
        trained.model.graph, {.weights = trained.weights, .average = trained.weights},
        {.objective = task->objective(), .threads = 1, .workers = workers ? &*workers : nullptr});
    return task->validate(*executor, false, [] { return false; }).result;
  };
  const ValidationResult wanted = validate(nullptr);
  for (const int workers : {2, 3, 5}) {
    ValidationResult found;
    expect_none(run_workers(workers, [&](Communicator& communicator) {
      const ValidationResult here = validate(&communicator);
      if (communicator.is_first()) found = here;
    }));
    EXPECT_EQ(found.metrics, wanted.metrics);
    EXPECT_EQ(found.fitness, wanted.fitness);
    for (size_t i = 0; i < wanted.losses.size(); ++i) EXPECT_NEAR(found.losses[i], wanted.losses[i], 1e-5);
  }
}

TEST(WorkersOfARun, ValidateToTheDigit) {
  const TinyRun tiny;
  expect_the_same_validation(tiny.options(""));
}

TEST_P(WorkersOfATask, ValidateToTheDigit) {
  const testing::TinyTask tiny(GetParam());
  TrainOptions options = tiny.options("trained");
  options.nbs = 4;
  options.lr0 = 0.02;
  options.epochs = 8;
  options.mosaic = 0;
  run_training(options);
  options.model = tiny.weights("trained", "last").string();
  options.name.clear();
  expect_the_same_validation(options);
}

TEST(WorkersOfARun, GoOnWithAnotherNumberOfThem) {
  const TinyRun tiny;
  TrainOptions options = ten_steps(tiny, "one");
  run_training(options);
  options.name = "changed";
  options.save_period = 1;
  run_together(2, options);
  // From the checkpoint after the third epoch.
  fs::copy_file(tiny.weights("changed", "epoch2"), tiny.weights("changed", "last"),
                fs::copy_options::overwrite_existing);
  expect_none(run_workers(4, [&](Communicator& communicator) {
    resume_training(tiny.run("changed"), kNoChanges, backend_with(communicator));
  }));
  expect_near_runs(tiny, "one", "changed", 1e-4);
  expect_near(table_of(tiny.run("one")), table_of(tiny.run("changed")), 1e-3);
}

TEST(WorkersOfARun, AnotherSettingIsNamed) {
  const TinyRun tiny;
  const std::vector<std::string> errors = run_workers(3, [&](Communicator& communicator) {
    TrainOptions options = tiny.options("x");
    options.lr0 = communicator.rank() == 2 ? 0.02 : 0.01;
    run_training(options, backend_with(communicator));
  });
  for (const std::string& error : errors)
    EXPECT_EQ(
        error,
        "rank 2 of 3 (thread 2): another setting than the others: has 'lr0: 0.02', rank 0 has 'lr0: 0.01'");
  EXPECT_FALSE(fs::exists(tiny.run("x")));
}

TEST(WorkersOfARun, OtherImagesAreNamed) {
  const TinyRun tiny;
  fs::copy(tiny.folder / "data", tiny.folder / "other", fs::copy_options::recursive);
  const fs::path labels = tiny.folder / "other" / "labels" / "train";
  write_file_atomically(fs::directory_iterator(labels)->path(), "0 0.5 0.5 0.25 0.25\n");
  for (const std::string& error : run_workers(2, [&](Communicator& communicator) {
         TrainOptions options = tiny.options("x");
         if (communicator.rank() == 1) options.data = (tiny.folder / "other" / "data.yaml").string();
         run_training(options, backend_with(communicator));
       }))
    EXPECT_EQ(error.find("rank 1 of 2 (thread 1): another dataset than the others"), 0U) << error;
}

// What only the first worker can meet ends the others, too, and says so.
TEST(WorkersOfARun, AFileThatCannotBeWrittenEndsAll) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("x");
  options.exist_ok = true;
  fs::create_directories(tiny.run("x") / "weights" / "last.safetensors" / "in the way");
  const std::vector<std::string> errors =
      run_workers(2, [&](Communicator& communicator) { run_training(options, backend_with(communicator)); });
  EXPECT_NE(errors[0].find("last.safetensors"), std::string::npos) << errors[0];
  EXPECT_EQ(errors[1], "rank 0 of 2 (thread 0) ended: " + errors[0]);
}

TEST(WorkersOfARun, WhatTheyCannotDoTogetherIsRefused) {
  const TinyRun tiny;
  for (const auto& [change, said] : std::vector<std::pair<std::function<void(TrainOptions&)>, std::string>>{
           {[](TrainOptions& o) { o.cache = "features", o.freeze = {"0"}; }, "cache: features"},
           {[](TrainOptions& o) { o.batch = -1, o.batch_memory = 0.5; }, "batch: a share of the memory"}}) {
    TrainOptions options = tiny.options("x");
    change(options);
    for (const std::string& error : run_workers(
             2, [&](Communicator& communicator) { run_training(options, backend_with(communicator)); }))
      EXPECT_NE(error.find(said), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace marrow::train
