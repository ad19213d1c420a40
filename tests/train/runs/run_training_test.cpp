// Whole runs: what they leave behind, and that neither workers, signals nor kills change a byte of it.
#include "marrow/train/run_training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "marrow/model/import.h"
#include "marrow/train/recipe/optimizer_choice.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/start_model.h"
#include "marrow/train/train_checkpoint.h"
#include "support/message_of.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

using testing::kNoChanges;
using testing::message_of;
using testing::TinyRun;
namespace fs = std::filesystem;

TEST(RunTraining, LeavesARunFolder) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("first");
  options.save_period = 2;
  options.save_json = true;
  EXPECT_EQ(run_training(options), RunOutcome::kFinished);
  const std::vector<std::string> csv = tiny.results("first");
  ASSERT_EQ(csv.size(), 5u);
  for (size_t i = 1; i < csv.size(); ++i) EXPECT_TRUE(csv[i].starts_with(std::to_string(i) + ",")) << csv[i];
  TrainOptions written;
  EXPECT_TRUE(read_train_options(tiny.run("first") / "args.yaml", written).empty());
  EXPECT_EQ(to_map(written), to_map(options));
  EXPECT_TRUE(fs::exists(tiny.run("first") / "predictions.json"));
  for (const char* name : {"last", "best", "epoch0", "epoch2"}) {
    const model::TrainedModel trained = model::load_trained(tiny.weights("first", name));
    EXPECT_EQ(trained.model.names, (std::vector<std::string>{"disc", "square"})) << name;
  }
  // The end drops what only training needs.
  EXPECT_NE(message_of([&] {
              resume_training(tiny.weights("first", "best"), kNoChanges);
            }).find("cannot be resumed"),
            std::string::npos);
  const std::string last = tiny.bytes("first", "last");
  EXPECT_EQ(resume_training(tiny.run("first"), kNoChanges), RunOutcome::kFinished);
  EXPECT_EQ(tiny.bytes("first", "last"), last);
  EXPECT_GT(read_train_checkpoint(tiny.weights("first", "epoch2")).snapshot.state.last_step, 0);
}

TEST(RunTraining, GivesTheSameBytesForTheSameSeed) {
  const TinyRun tiny;
  testing::expect_same_bytes_for_the_same_seed(tiny, tiny.options(""));
}

TEST(RunTraining, GoesOnToTheByteAfterASignal) {
  const TinyRun tiny;
  for (const char* optimizer : {"SGD", "NAdam", "MuSGD"}) {
    SCOPED_TRACE(optimizer);
    TrainOptions options = tiny.options(std::string("straight") + optimizer);
    options.optimizer = optimizer;
    run_training(options);
    const std::string straight = options.name;
    options.name = std::string("stopped") + optimizer;
    int stops = 0;
    for (int attempt = 0;; ++attempt) {
      ASSERT_LT(attempt, 200);
      // The handler is there once the run folder is: before, the signal would end the test.
      std::thread interrupter([&, attempt] {
        while (!fs::exists(tiny.weights(options.name, "last"))) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        if (attempt < 4) std::raise(attempt % 2 == 0 ? SIGTERM : SIGINT);
      });
      const auto before = std::signal(SIGTERM, SIG_IGN);
      const auto before_interrupt = std::signal(SIGINT, SIG_IGN);
      const RunOutcome outcome =
          attempt == 0 ? run_training(options) : resume_training(tiny.run(options.name), kNoChanges);
      interrupter.join();
      std::signal(SIGTERM, before);
      std::signal(SIGINT, before_interrupt);
      if (outcome == RunOutcome::kFinished) break;
      ++stops;
    }
    EXPECT_GT(stops, 0);
    EXPECT_EQ(tiny.bytes(options.name, "last"), tiny.bytes(straight, "last"));
    EXPECT_EQ(tiny.bytes(options.name, "best"), tiny.bytes(straight, "best"));
    EXPECT_EQ(tiny.results(options.name).size(), 5u);
  }
}

TEST(RunTraining, AnInterruptedRunMayGetMoreEpochs) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("longer");
  options.epochs = 3;
  options.save_period = 1;
  run_training(options);
  EXPECT_EQ(tiny.results("longer").size(), 4u);  // with the heading
  const auto epochs = [](int wanted) { return [wanted](TrainOptions& o) { o.epochs = wanted; }; };
  EXPECT_NE(message_of([&] {
              resume_training(tiny.weights("longer", "epoch2"), epochs(2));
            }).find("--epochs 2: the run has had 2 epochs already"),
            std::string::npos);
  ASSERT_EQ(resume_training(tiny.weights("longer", "epoch2"), epochs(5)), RunOutcome::kFinished);
  EXPECT_EQ(tiny.results("longer").size(), 6u);
}

// What `auto` chose for the length that the run began with stays, whatever length it gets.
TEST(RunTraining, KeepsItsOptimizerWhenItGetsMoreEpochs) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("auto");
  options.optimizer = "auto";
  options.epochs = 2;
  options.save_period = 1;
  run_training(options);
  constexpr int kLong = 200'000;
  ASSERT_EQ(choose_optimizer("auto", {}, 10, options.batch, options.nbs, kLong, 2).kind,
            OptimizerKind::kMuSgd);
  resume_training(tiny.weights("auto", "epoch0"), [](TrainOptions& o) {
    o.epochs = kLong;
    o.time_hours = 1e-6;  // a step or so
  });
  const TrainState state = read_train_checkpoint(tiny.weights("auto", "last")).snapshot.state;
  ASSERT_TRUE(state.optimizer.has_value());
  EXPECT_EQ(state.optimizer->kind, OptimizerKind::kAdamW);
  EXPECT_EQ(state.optimizer->lr0, choose_optimizer("auto", {}, 10, 4, 16, 2, 2).lr0);
}

TEST(RunTraining, AFinishedRunMayGetMoreEpochs) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("longer");
  options.epochs = 2;
  run_training(options);
  const std::vector<std::string> before = tiny.results("longer");
  const auto resumed = [&](int epochs, int patience, std::optional<double> hours = {}) {
    ::testing::internal::CaptureStderr();
    const RunOutcome outcome = resume_training(tiny.run("longer"), [&](TrainOptions& o) {
      o.epochs = epochs;
      o.patience = patience;
      o.time_hours = hours;
    });
    EXPECT_EQ(outcome, RunOutcome::kFinished);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(resumed(2, 100).find("--epochs 4 trains on"), std::string::npos);
  EXPECT_EQ(tiny.results("longer"), before);
  const std::string said = resumed(5, 100);
  EXPECT_NE(said.find("5 epochs instead of 2"), std::string::npos) << said;
  EXPECT_NE(said.find("at epoch 3 of 5"), std::string::npos) << said;
  const std::vector<std::string> after = tiny.results("longer");
  ASSERT_EQ(after.size(), 6u);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  const ResultsTable table = read_results_csv(tiny.run("longer") / "results.csv");
  for (size_t i = 1; i < table.rows.size(); ++i) EXPECT_GT(table.rows[i][1], table.rows[i - 1][1]);
  const TrainCheckpoint last = read_train_checkpoint(tiny.weights("longer", "last"));
  EXPECT_TRUE(last.finished);
  EXPECT_EQ(last.snapshot.state.epoch, 5);
  EXPECT_EQ(last.snapshot.state.epochs, 5);
  // It would end again at once.
  EXPECT_NE(message_of([&] { resumed(9, 1); }).find("--patience 1: the run ended because epoch 1"),
            std::string::npos);
  ::testing::internal::GetCapturedStderr();
  EXPECT_NE(message_of([&] { resumed(9, 0, 1e-9); }).find("--time 1e-09: the run has had"),
            std::string::npos);
  ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(tiny.results("longer"), after);
}

// Weights and batch-norm statistics, of the trained model and of its average.
void expect_frozen(const TinyRun& tiny, const TrainOptions& options, const std::vector<std::string>& parts) {
  run_training(options);
  const Weights before = start_model(options, {"disc", "square"}, {}, [](const std::string&) {}).weights;
  const TrainSnapshot last = read_train_checkpoint(tiny.weights(options.name, "epoch0")).snapshot;
  for (const Weights* after : {&last.weights, &last.average}) {
    int frozen = 0, moved = 0;
    for (const auto& [name, tensor] : *after) {
      const bool inside =
          std::ranges::any_of(parts, [&](const std::string& part) { return name.starts_with(part); });
      const Tensor& old = before.at(name);
      const bool equal = std::equal(tensor.bytes(), tensor.bytes() + tensor.byte_size(), old.bytes());
      EXPECT_TRUE(equal || !inside) << name;
      frozen += inside;
      moved += !inside && !equal;
    }
    EXPECT_GT(frozen, 10);
    EXPECT_GT(moved, 10);
  }
}

TEST(RunTraining, LeavesFrozenLayersAlone) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("frozen");
  options.nbs = 1;
  options.batch = 1;  // ten steps
  options.epochs = 1;
  options.save_period = 1;
  set_train_option(options, "freeze", "3");
  expect_frozen(tiny, options, {"model.0.", "model.1.", "model.2."});
  options.name = "picked";
  set_train_option(options, "freeze", "0,2");
  expect_frozen(tiny, options, {"model.0.", "model.2."});
}

TEST(RunTraining, LeavesAFrozenBackboneAlone) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("frozen");
  options.model = "yolov8n";
  options.backbone = "starnet_s050";
  options.nbs = 5;
  options.batch = 5;
  options.epochs = 1;
  options.save_period = 1;
  set_train_option(options, "freeze", "1");
  expect_frozen(tiny, options, {"model.0."});
}

TEST(RunTraining, SaysWhatIsMissing) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("x");
  options.data.clear();
  EXPECT_NE(message_of([&] { run_training(options); }).find("--data"), std::string::npos);
  options = tiny.options("x");
  options.model.clear();
  EXPECT_NE(message_of([&] { run_training(options); }).find("--model"), std::string::npos);
  options = tiny.options("x");
  options.model = "yolov8q";
  EXPECT_NE(message_of([&] { run_training(options); }).find("yolov8q"), std::string::npos);
  options = tiny.options("x");
  options.act_decay_epochs = 2;
  EXPECT_NE(message_of([&] { run_training(options); }).find("act_decay_epochs"), std::string::npos);
  EXPECT_NE(message_of([&] { latest_run(tiny.folder / "nowhere"); }).find("--resume"), std::string::npos);
  EXPECT_NE(message_of([&] { require_run(tiny.folder / "nope"); }).find("there is no such file or folder"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(tiny.run("x") / "weights" / "best.safetensors"));
}

}  // namespace
}  // namespace marrow::train
