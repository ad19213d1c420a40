// Whole runs by LibTorch, on the processor and on CUDA, beside the same runs by our own kernels.
#include <gtest/gtest.h>

#include <cmath>

#include "marrow/train/native/native_executor.h"
#include "marrow/train/recipe/results_csv.h"
#include "marrow/train/run_training.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "train/runs/train_program.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

// Of losses in twelve steps, which enlarge what the first ones round: 9e-5 between LibTorch and our kernels.
constexpr double kRounding = 1e-3;
// Of the losses of three steps: bfloat16 has eight bits, and its losses differed by 0.4 %.
constexpr double kLowPrecision = 0.02;

struct Device {
  const char* name;
  const char* device;
  std::vector<const char*> low_precisions;
};
void PrintTo(const Device& device, std::ostream* out) {
  *out << device.name;
}

class TorchRuns : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    if (is_cuda() && !torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device is here";
  }
  bool is_cuda() const { return std::string_view(GetParam().device) == "cuda"; }

  TrainOptions options(const std::string& name, const std::string& amp = "fp32") const {
    TrainOptions options = tiny_.options(name);
    options.nbs = 4;  // a step a batch
    options.save_period = 1;
    options.device = GetParam().device;
    options.amp = amp;
    return options;
  }

  using Rows = std::vector<std::vector<double>>;
  // Losses of training and of validation, an epoch a row.
  Rows losses(const std::string& name) const {
    const ResultsTable table = read_results_csv(tiny_.run(name) / "results.csv");
    Rows rows(table.rows.size());
    for (size_t column = 0; column < table.columns.size(); ++column)
      if (table.columns[column].ends_with("_loss"))
        for (size_t row = 0; row < rows.size(); ++row) rows[row].push_back(table.rows[row][column]);
    return rows;
  }

  // The first `epochs` of them.
  static void expect_near(const Rows& found, const Rows& wanted, double tolerance, size_t epochs = 4) {
    ASSERT_EQ(found.size(), 4u);
    ASSERT_EQ(wanted.size(), 4u);
    ASSERT_EQ(found[0].size(), 6u);
    for (size_t row = 0; row < epochs; ++row)
      for (size_t i = 0; i < found[row].size(); ++i)
        EXPECT_NEAR(found[row][i], wanted[row][i], tolerance * wanted[row][i]) << "epoch " << row + 1;
  }

  testing::TinyRun tiny_;
};

TEST_P(TorchRuns, GoTheWayOfOurKernels) {
  TrainOptions ours = options("native");
  ours.device = "cpu";
  ASSERT_EQ(run_training(ours, native_backend), RunOutcome::kFinished);
  ASSERT_EQ(run_training(options("torch"), torch_backend), RunOutcome::kFinished);
  expect_near(losses("torch"), losses("native"), kRounding);
}

TEST_P(TorchRuns, GoOnFromACheckpoint) {
  ASSERT_EQ(run_training(options("run"), torch_backend), RunOutcome::kFinished);
  const std::string last = tiny_.bytes("run", "last");
  const auto wanted = losses("run");
  ASSERT_EQ(resume_training(
                tiny_.weights("run", "epoch1"), [](TrainOptions&) {}, torch_backend),
            RunOutcome::kFinished);
  expect_near(losses("run"), wanted, kRounding);
  if (!is_cuda()) {
    EXPECT_EQ(tiny_.bytes("run", "last"), last);
  }
}

TEST_P(TorchRuns, InLowPrecisionStayNear) {
  ASSERT_EQ(run_training(options("fp32"), torch_backend), RunOutcome::kFinished);
  for (const char* amp : GetParam().low_precisions) {
    ASSERT_EQ(run_training(options(amp, amp), torch_backend), RunOutcome::kFinished);
    SCOPED_TRACE(amp);
    expect_near(losses(amp), losses("fp32"), kLowPrecision, 1);
    EXPECT_NE(losses(amp), losses("fp32"));
  }
}

INSTANTIATE_TEST_SUITE_P(Of, TorchRuns,
                         ::testing::Values(Device{"LibTorch", "cpu", {"bf16"}},
                                           Device{"LibTorchOnCuda", "cuda", {"bf16", "fp16"}}),
                         [](const auto& info) { return info.param.name; });

// `marrow train --device` becomes the other program, also for a run that began so.
TEST(TorchProgram, IsStartedForCuda) {
  const testing::TinyRun tiny;
  TrainOptions options = tiny.options("run");
  options.device = "cuda:99";
  write_file_atomically(tiny.folder / "cfg.yaml", to_yaml(options));
  std::filesystem::create_directories(tiny.run("run"));
  write_file_atomically(tiny.run("run") / "args.yaml", to_yaml(options));
  const std::vector<std::vector<std::string>> kEach = {
      {"--cfg", (tiny.folder / "cfg.yaml").string()},
      {"--cfg", (tiny.folder / "cfg.yaml").string(), "--device", "99"},
      {"--resume", tiny.run("run").string()}};
  for (const std::vector<std::string>& arguments : kEach) {
    testing::TrainProgram program(arguments, tiny.folder / "log");
    EXPECT_EQ(program.wait(), 2);
    const std::string said = program.said();
    EXPECT_TRUE(said.find("no CUDA device is here") != std::string::npos ||
                said.find("CUDA devices are here") != std::string::npos)
        << said;
  }
}

}  // namespace
}  // namespace marrow::train
