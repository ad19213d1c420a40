// The loop itself, with a task made for the purpose: accumulation, and the way back from a loss that is not
// finite.
#include "marrow/train/trainer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <functional>
#include <limits>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/model/spec.h"
#include "marrow/weights/safetensors.h"
#include "support/temporary_folder.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;

// Pulls one bias towards the number of the batch; anything else is left alone.
class FakeTask : public Task {
 public:
  std::vector<std::string> loss_names() const override { return {"loss"}; }
  std::vector<std::string> result_columns() const override {
    return {"epoch", "time", "train/loss", "fitness", "val/loss"};
  }
  int64_t batches_per_epoch() const override { return 5; }
  int64_t images() const override { return 5; }
  void start(const Place& place) override {
    starts.push_back(place);
    next_ = place.epoch * batches_per_epoch() + place.batch;
  }
  Step forward(TorchExecutor& model) override {
    const int64_t iteration = next_++;
    seen.push_back(iteration);
    const torch::Tensor bias = model.parameter(kBias);
    model_ = &model;
    Step step;
    step.loss = (bias - static_cast<double>(iteration)).square().sum();
    step.items = {bad(iteration, starts.back().seed) ? std::nan("") : 1.0 + static_cast<double>(iteration)};
    step.images = 1;
    return step;
  }
  std::string explain_non_finite(TorchExecutor&) override { return "conv (model.3)"; }
  Validation validate(TorchExecutor&, bool, const std::function<bool()>&) override {
    ++validations;
    latest_bias.clear();
    const Tensor bias = from_torch(model_->parameter(kBias));
    latest_bias.assign(bias.values().begin(), bias.values().end());
    const int epoch =
        static_cast<int>(fitness.size() < 2 ? 0 : std::min<size_t>(validated_++, fitness.size() - 1));
    return {{{fitness.at(static_cast<size_t>(epoch))}, {0.5}, fitness.at(static_cast<size_t>(epoch))},
            "",
            "",
            ""};
  }
  double waited_seconds() const override { return 0; }

  static constexpr const char* kBias = "model.8.cv3.0.2.bias";
  std::function<bool(int64_t iteration, uint64_t seed)> bad = [](int64_t, uint64_t) { return false; };
  std::vector<double> fitness = {0.5};
  std::vector<Place> starts;
  std::vector<int64_t> seen;
  std::vector<double> latest_bias;  // of the trained model, at a validation
  int validations = 0;

 private:
  TorchExecutor* model_ = nullptr;
  int64_t next_ = 0;
  size_t validated_ = 0;
};

// Ends everything at one of its calls, as a kill does.
class MortalTask : public FakeTask {
 public:
  struct Killed {};
  explicit MortalTask(int calls) : calls_(calls) {}
  void start(const Place& place) override {
    live();
    FakeTask::start(place);
  }
  Step forward(TorchExecutor& model) override {
    live();
    return FakeTask::forward(model);
  }
  Validation validate(TorchExecutor& average, bool, const std::function<bool()>&) override {
    live();
    // A function of the model alone.
    const double found = std::abs(average.parameter(kBias).sum().item<double>());
    const double fitness = found - std::floor(found);
    return {{{fitness}, {0.5}, fitness}, "", "", ""};
  }

 private:
  void live() {
    if (calls_-- == 0) throw Killed();
  }
  int calls_;
};

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() {
    fs::create_directories(folder_ / "weights");
    model_ = model::build_model(model::parse_model_spec(testing::kTinyModel, "tiny.yaml"));
    options_.model = "tiny.yaml";
    options_.optimizer = "SGD";
    options_.epochs = 3;
    options_.batch = 1;
    options_.nbs = 2;
    options_.warmup_epochs = 0;
    options_.momentum = 0;
    options_.lr0 = 0.1;
    options_.lrf = 1;
  }
  RunOutcome run() {
    TrainSnapshot start;
    start.weights = start.average = initialize(model_.graph, 0);
    start.state.epochs = options_.epochs;
    return Trainer(options_, model_, start, task_, {.folder = folder_.path()}).run();
  }
  std::string results() { return read_file(folder_ / "results.csv", 10000); }

  testing::TemporaryFolder folder_;
  model::Model model_;
  TrainOptions options_;
  FakeTask task_;
};

TEST_F(TrainerTest, KeepsGradientsAcrossTheEndOfAnEpoch) {
  // A step after the iterations 1, 3, 5, ... by the sum of two gradients: with a small rate the bias b moves
  // by -lr * (2 (b - i) + 2 (b - i - 1)) a step, or the part of that which clipping leaves.
  options_.lr0 = 0.01;
  const Weights fresh = initialize(model_.graph, 0);
  std::vector<double> bias;
  for (const float b : fresh.at(FakeTask::kBias).values()) bias.push_back(b);
  options_.epochs = 2;  // ten iterations, five steps
  for (int i = 1; i < 10; i += 2) {
    double squares = 0;
    for (const double b : bias) squares += std::pow(4 * b - 4 * i + 2, 2);
    const double part = std::min(1.0, 10 / std::sqrt(squares));
    for (double& b : bias) b -= options_.lr0 * part * (4 * b - 4 * i + 2);
  }
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_EQ(task_.seen.size(), 10u);
  EXPECT_EQ(task_.validations, 3);  // two epochs, and the best model at the end
  for (size_t k = 0; k < bias.size(); ++k) EXPECT_NEAR(task_.latest_bias.at(k), bias[k], 1e-5);
}

TEST_F(TrainerTest, GoesBackToTheLastGoodStepAndDrawsAnew) {
  task_.bad = [&](int64_t iteration, uint64_t seed) { return iteration == 8 && seed == options_.seed; };
  EXPECT_EQ(run(), RunOutcome::kFinished);
  ASSERT_EQ(task_.starts.size(), 2u);
  // The last step of the first epoch was after iteration 3; iteration 4 was pending.
  EXPECT_EQ(task_.starts[1].epoch, 0);
  EXPECT_EQ(task_.starts[1].batch, 4);
  EXPECT_NE(task_.starts[1].seed, options_.seed);
  EXPECT_EQ(results().substr(results().find('\n') + 1, 2), "1,");
  EXPECT_EQ(std::ranges::count(results(), '\n'), 4);
}

TEST_F(TrainerTest, GivesUpAfterThreeTimesAndNamesTheOperation) {
  task_.bad = [](int64_t iteration, uint64_t) { return iteration == 8; };
  try {
    run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(
        std::string(error.what()).find("epoch 2, batch 4: the loss is not finite; first: conv (model.3)"),
        std::string::npos)
        << error.what();
  }
  EXPECT_EQ(task_.starts.size(), 4u);
  const TrainState state = read_train_checkpoint(folder_ / "weights/last.safetensors").snapshot.state;
  EXPECT_EQ(state.recoveries, 3);
  EXPECT_EQ(state.last_step, 3);
}

// Where a step takes more batches than an epoch has, a recovery comes in between, and the run ends early.
TEST_F(TrainerTest, GoesOnToTheSameBytesFromEveryCall) {
  options_.epochs = 40;
  options_.nbs = 7;
  options_.patience = 3;
  options_.momentum = 0.9;
  const auto train = [&](const fs::path& folder, const TrainSnapshot& start, int calls) {
    MortalTask task(calls);
    task.bad = [&](int64_t iteration, uint64_t seed) { return iteration == 9 && seed == options_.seed; };
    fs::create_directories(folder / "weights");
    try {
      EXPECT_EQ(Trainer(options_, model_, start, task, {.folder = folder}).run(), RunOutcome::kFinished);
      return true;
    } catch (const MortalTask::Killed&) {
      return false;
    }
  };
  const auto outcome = [](const fs::path& folder) {
    std::string text = read_file(folder / "weights/best.safetensors", 10 << 20) +
                       read_file(folder / "weights/last.safetensors", 10 << 20);
    std::istringstream lines(read_file(folder / "results.csv", 100'000));
    for (std::string line; std::getline(lines, line);) {
      const size_t first = line.find(','), second = line.find(',', first + 1);
      text += line.substr(0, first) + line.substr(second);  // without the clock
    }
    return text;
  };
  TrainSnapshot fresh;
  fresh.weights = fresh.average = initialize(model_.graph, 0);
  fresh.state.epochs = options_.epochs;
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  ASSERT_TRUE(train(folder_ / "straight", fresh, -1));
  const std::string straight = outcome(folder_ / "straight");
  int calls = 0;
  for (;; ++calls) {
    SCOPED_TRACE(calls);
    const fs::path folder = folder_ / "killed";
    fs::remove_all(folder);
    if (train(folder, fresh, calls)) break;
    const TrainCheckpoint checkpoint = read_train_checkpoint(folder / "weights/last.safetensors");
    ASSERT_TRUE(train(folder, checkpoint.snapshot, -1));
    EXPECT_TRUE(outcome(folder) == straight);
  }
  ::testing::internal::GetCapturedStdout();
  ::testing::internal::GetCapturedStderr();
  EXPECT_GT(calls, 25);
}

TEST_F(TrainerTest, StopsWhenNothingGetsBetter) {
  options_.epochs = 20;
  options_.patience = 2;
  task_.fitness = {0.1, 0.3, 0.2, 0.3, 0.9};
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_EQ(task_.seen.size(), 20u);  // four epochs: the second was the best
  const auto best = weights::read_safetensors(folder_ / "weights/best.safetensors").metadata;
  EXPECT_EQ(best.at("epoch"), "2");
}

TEST_F(TrainerTest, ValidatesTheLastEpochInAnyCase) {
  options_.val = false;
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_EQ(task_.validations, 2);
  EXPECT_TRUE(fs::exists(folder_ / "weights/best.safetensors"));
}

TEST_F(TrainerTest, WritesNoCheckpointWhenToldSo) {
  options_.save = false;
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_TRUE(fs::is_empty(folder_ / "weights"));
}

TEST_F(TrainerTest, EndsWhenTheTimeIsOver) {
  options_.epochs = 1'000'000;
  options_.time_hours = 0.5 / 3600;
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_LT(task_.seen.size(), 100'000u);
  // The loader learns how many epochs there will be, for what happens in the last ones.
  EXPECT_GT(task_.starts.size(), 1u);
  EXPECT_LT(task_.starts.back().epochs, 1'000'000);
}

// A limit on file sizes does what a full disk does.
TEST_F(TrainerTest, LeavesTheLastCheckpointWhenTheDiskIsFull) {
  run();
  const std::string before = read_file(folder_ / "weights/last.safetensors", 100 << 20);
  rlimit old_limit = {};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small = {100'000, old_limit.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    run();
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_NE(message.find("last.safetensors"), std::string::npos) << message;
  EXPECT_EQ(read_file(folder_ / "weights/last.safetensors", 100 << 20), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "weights"), {}), 2);
}

TEST(ActivationSlope, GrowsToOne) {
  EXPECT_EQ(activation_slope(0, 0, "linear"), 1);
  EXPECT_EQ(activation_slope(0, 4, "linear"), 0);
  EXPECT_EQ(activation_slope(1, 4, "linear"), 0.25);
  EXPECT_EQ(activation_slope(4, 4, "linear"), 1);
  EXPECT_NEAR(activation_slope(1, 4, "cos"), 0.5 * (1 - std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(activation_slope(2, 4, "cos"), 0.5, 1e-12);
  EXPECT_EQ(activation_slope(9, 4, "cos"), 1);
}

}  // namespace
}  // namespace marrow::train
