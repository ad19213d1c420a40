// The loop itself, with a task made for the purpose: accumulation, and the way back from a loss that is not
// finite.
#include "marrow/train/trainer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/model/spec.h"
#include "marrow/weights/safetensors.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"
#include "train/fake_training.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;

using testing::FakeTask;
using testing::FakeTraining;
using testing::kFakeBias;

// Ends everything at one of its calls, as a kill does.
class MortalTask : public FakeTask {
 public:
  struct Killed {};
  MortalTask(FakeTraining& training, int calls) : FakeTask(training), calls_(calls) {}
  void start(const Place& place) override {
    live();
    FakeTask::start(place);
  }
  Batch next() override {
    live();
    return FakeTask::next();
  }
  Validation validate(TrainingExecutor& executor, bool, const std::function<bool()>&) override {
    live();
    // A function of the model alone.
    const Tensor bias = executor.state().average.at(kFakeBias);
    double sum = 0;
    for (const float value : bias.values()) sum += value;
    return found(std::abs(sum) - std::floor(std::abs(sum)));
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
    return Trainer(options_, model_, start, task_, {.folder = folder_.path(), .backend = backend_}).run();
  }
  std::string results() { return read_file(folder_ / "results.csv", 10000); }

  testing::TemporaryFolder folder_;
  model::Model model_;
  TrainOptions options_;
  FakeTraining training_;
  FakeTask task_{training_};
  TrainingBackend backend_ = testing::fake_backend(training_);
};

TEST_F(TrainerTest, KeepsGradientsAcrossTheEndOfAnEpoch) {
  // A step after the iterations 1, 3, 5, ... by the sum of two gradients: with a small rate the bias b moves
  // by -lr * (2 (b - i) + 2 (b - i - 1)) a step, or the part of that which clipping leaves.
  options_.lr0 = 0.01;
  const Weights fresh = initialize(model_.graph, 0);
  std::vector<double> bias;
  for (const float b : fresh.at(kFakeBias).values()) bias.push_back(b);
  options_.epochs = 2;  // ten iterations, five steps
  for (int i = 1; i < 10; i += 2) {
    double squares = 0;
    for (const double b : bias) squares += std::pow(4 * b - 4 * i + 2, 2);
    const double part = std::min(1.0, 10 / std::sqrt(squares));
    for (double& b : bias) b -= options_.lr0 * part * (4 * b - 4 * i + 2);
  }
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_EQ(training_.seen.size(), 10u);
  EXPECT_EQ(training_.validations, 3);  // two epochs, and the best model at the end
  for (size_t k = 0; k < bias.size(); ++k) EXPECT_NEAR(training_.latest_bias.at(k), bias[k], 1e-5);
}

TEST_F(TrainerTest, GoesBackToTheLastGoodStepAndDrawsAnew) {
  training_.bad = [&](int64_t iteration, uint64_t seed) { return iteration == 8 && seed == options_.seed; };
  EXPECT_EQ(run(), RunOutcome::kFinished);
  ASSERT_EQ(training_.starts.size(), 2u);
  // The last step of the first epoch was after iteration 3; iteration 4 was pending.
  EXPECT_EQ(training_.starts[1].epoch, 0);
  EXPECT_EQ(training_.starts[1].batch, 4);
  EXPECT_NE(training_.starts[1].seed, options_.seed);
  EXPECT_EQ(results().substr(results().find('\n') + 1, 2), "1,");
  EXPECT_EQ(std::ranges::count(results(), '\n'), 4);
}

TEST_F(TrainerTest, GivesUpAfterThreeTimesAndNamesTheOperation) {
  training_.bad = [](int64_t iteration, uint64_t) { return iteration == 8; };
  try {
    run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(
        std::string(error.what()).find("epoch 2, batch 4: the loss is not finite; first: conv (model.3)"),
        std::string::npos)
        << error.what();
  }
  EXPECT_EQ(training_.starts.size(), 4u);
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
    FakeTraining training;
    MortalTask task(training, calls);
    training.bad = [&](int64_t iteration, uint64_t seed) { return iteration == 9 && seed == options_.seed; };
    fs::create_directories(folder / "weights");
    try {
      Trainer trainer(options_, model_, start, task,
                      {.folder = folder, .backend = testing::fake_backend(training)});
      EXPECT_EQ(trainer.run(), RunOutcome::kFinished);
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

// Half precision: scaled gradients overflow until the scale is small enough, and steps see them unscaled.
TEST_F(TrainerTest, HalvesTheLossScaleUntilGradientsAreFinite) {
  options_.nbs = 1;
  options_.epochs = 2;
  backend_.precision = "fp16";
  training_.largest_gradient = 65504;
  EXPECT_EQ(run(), RunOutcome::kFinished);
  ASSERT_EQ(training_.loss_scales.size(), 10u);
  const int left_out = 10 - training_.updates;
  EXPECT_GT(left_out, 1);
  EXPECT_GT(training_.updates, 1);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(training_.loss_scales.at(static_cast<size_t>(i)), 65536.0 / (1 << std::min(i, left_out))) << i;
  const Weights fresh = initialize(model_.graph, 0);
  std::vector<double> bias;
  for (const float b : fresh.at(kFakeBias).values()) bias.push_back(b);
  for (int i = left_out; i < 10; ++i) {
    double squares = 0;
    for (const double b : bias) squares += std::pow(2 * (b - i), 2);
    const double part = std::min(1.0, 10 / std::sqrt(squares));
    for (double& b : bias) b -= options_.lr0 * part * 2 * (b - i);
  }
  for (size_t k = 0; k < bias.size(); ++k) EXPECT_NEAR(training_.latest_bias.at(k), bias[k], 1e-4);
}

TEST_F(TrainerTest, GivesUpWhereNoLossScaleIsSmallEnough) {
  options_.nbs = 1;
  options_.epochs = 40;
  backend_.precision = "fp16";
  training_.largest_gradient = 0;
  EXPECT_EQ(testing::message_of([&] { run(); }, ErrorKind::kModel)
                .find("epoch 4, batch 2: the gradient of 'model.8.cv3.0.2.bias' is not finite"),
            0u);
  EXPECT_EQ(training_.updates, 0);
}

TEST_F(TrainerTest, StopsWhenNothingGetsBetter) {
  options_.epochs = 20;
  options_.patience = 2;
  training_.fitness = {0.1, 0.3, 0.2, 0.3, 0.9};
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_EQ(training_.seen.size(), 20u);  // four epochs: the second was the best
  const auto best = weights::read_safetensors(folder_ / "weights/best.safetensors").metadata;
  EXPECT_EQ(best.at("epoch"), "2");
}

TEST_F(TrainerTest, ValidatesTheLastEpochInAnyCase) {
  options_.val = false;
  EXPECT_EQ(run(), RunOutcome::kFinished);
  EXPECT_EQ(training_.validations, 2);
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
  EXPECT_LT(training_.seen.size(), 100'000u);
  // The loader learns how many epochs there will be, for what happens in the last ones.
  EXPECT_GT(training_.starts.size(), 1u);
  EXPECT_LT(training_.starts.back().epochs, 1'000'000);
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
