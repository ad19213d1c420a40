// Whole runs with products of bfloat16.
#include "train/native/bfloat16.h"

#include <sstream>

#include "support/expect_says.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_classes.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

// Of so many channels that layers gain from bfloat16.
TrainOptions with_wide_model(const testing::TinyProject& project, TrainOptions options, std::string model,
                             const std::string& width, const std::string& wider) {
  options.model = (project.folder / "wide.yaml").string();
  write_file_atomically(options.model, model.replace(model.find(width), width.size(), wider));
  return options;
}

class Bfloat16Run : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_bfloat16()) GTEST_SKIP() << testing::kNoBfloat16;
  }
};

TEST_F(Bfloat16Run, GivesTheSameBytesForTheSameSeed) {
  const testing::TinyRun tiny;
  TrainOptions options = with_wide_model(tiny, tiny.options(""), testing::kTinyModel, "0.03125", "0.25");
  options.epochs = 2;
  options.amp = "bf16";
  testing::expect_same_bytes_for_the_same_seed(tiny, options);
}

struct Epoch {
  double loss = 0, top1 = 0, validation_loss = 0;
};

std::vector<Epoch> epochs_of(const testing::TinyClasses& tiny, const std::string& amp) {
  TrainOptions options = with_wide_model(tiny, tiny.options(amp), testing::kTinyClassifier, "0.0625", "0.5");
  options.amp = amp;
  options.epochs = 12;
  options.nbs = options.batch;
  options.optimizer = "AdamW";
  options.lr0 = 0.002;
  options.auto_augment = "none";
  options.erasing = options.hsv_h = options.hsv_s = options.hsv_v = 0;
  ::testing::internal::CaptureStderr();
  run_training(options);
  EXPECT_SAYS(::testing::internal::GetCapturedStderr(), amp == "bf16" ? " in bf16; " : " in float32; ");
  std::vector<Epoch> epochs;
  const std::vector<std::string> lines = tiny.results(amp);
  for (size_t i = 1; i < lines.size(); ++i) {
    std::istringstream cells(lines[i]);
    double number = 0, seconds = 0, top5 = 0;
    char comma = 0;
    Epoch epoch;
    cells >> number >> comma >> seconds >> comma >> epoch.loss >> comma >> epoch.top1 >> comma >> top5 >>
        comma >> epoch.validation_loss;
    EXPECT_TRUE(cells.good()) << lines[i];
    epochs.push_back(epoch);
  }
  return epochs;
}

// Roundings part two runs slowly at first; both learn the classes.
TEST_F(Bfloat16Run, ReachesWhatFloat32Reaches) {
  const testing::TinyClasses tiny;
  const std::vector<Epoch> wanted = epochs_of(tiny, "fp32"), found = epochs_of(tiny, "bf16");
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(found[i].loss, wanted[i].loss, 0.02 * wanted[i].loss) << "epoch " << i + 1;
    EXPECT_NEAR(found[i].validation_loss, wanted[i].validation_loss, 0.01 * wanted[i].validation_loss);
    EXPECT_NE(found[i].validation_loss, wanted[i].validation_loss) << "nothing was rounded";
  }
  for (const std::vector<Epoch>& run : {wanted, found}) {
    EXPECT_EQ(run.back().top1, 1);
    EXPECT_LT(run.back().validation_loss, 0.05);
  }
}

}  // namespace
}  // namespace marrow::train
