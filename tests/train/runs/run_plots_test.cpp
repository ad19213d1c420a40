// The images of a run: which there are, and that they change nothing else.
#include "marrow/train/run_plots.h"

#include <gtest/gtest.h>

#include <set>

#include "marrow/image/decode.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;

// What gnuplot draws of a detector.
const std::set<std::string> kPlots = {
    "results.png",     "labels.jpg",      "confusion_matrix.png", "confusion_matrix_normalized.png",
    "BoxPR_curve.png", "BoxF1_curve.png", "BoxP_curve.png",       "BoxR_curve.png"};

std::set<std::string> images_of(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".jpg") && !name.ends_with(".png")) continue;
    EXPECT_FALSE(image::decode_image_file(entry.path()).image.empty()) << name;
    names.insert(name);
  }
  return names;
}

TEST(RunPlots, AreThoseThatPeopleExpectAndChangeNoWeight) {
  const testing::TinyRun tiny;
  TrainOptions options = tiny.options("drawn");
  options.plots = true;
  ASSERT_EQ(run_training(options), RunOutcome::kFinished);
  // Three batches an epoch, four epochs, the last of them without mosaic.
  std::set<std::string> wanted = {"train_batch0.jpg",      "train_batch1.jpg",   "train_batch2.jpg",
                                  "train_batch9.jpg",      "train_batch10.jpg",  "train_batch11.jpg",
                                  "val_batch0_labels.jpg", "val_batch0_pred.jpg"};
  wanted.insert(kPlots.begin(), kPlots.end());
  EXPECT_EQ(images_of(tiny.run("drawn")), wanted);

  options = tiny.options("plain");
  options.plots = false;
  ASSERT_EQ(run_training(options), RunOutcome::kFinished);
  EXPECT_TRUE(images_of(tiny.run("plain")).empty());
  EXPECT_EQ(tiny.bytes("plain", "last"), tiny.bytes("drawn", "last"));
  EXPECT_EQ(tiny.bytes("plain", "best"), tiny.bytes("drawn", "best"));
}

TEST(RunPlots, AResumedRunDrawsAgainWhatItDoesAgainAndTheSame) {
  const testing::TinyRun tiny;
  TrainOptions options = tiny.options("straight");
  options.plots = true;
  options.save_period = 1;
  ASSERT_EQ(run_training(options), RunOutcome::kFinished);
  // As killed after the second of four epochs: the last one is without mosaic.
  const fs::path straight = tiny.run("straight"), resumed = tiny.run("resumed");
  fs::create_directories(resumed / "weights");
  fs::copy_file(tiny.weights("straight", "epoch1"), tiny.weights("resumed", "last"));
  fs::copy_file(tiny.weights("straight", "best"), tiny.weights("resumed", "best"));
  fs::copy_file(straight / "results.csv", resumed / "results.csv");
  ASSERT_EQ(resume_training(resumed, testing::kNoChanges), RunOutcome::kFinished);
  std::set<std::string> wanted = {"train_batch9.jpg", "train_batch10.jpg", "train_batch11.jpg",
                                  "val_batch0_pred.jpg", "val_batch0_labels.jpg"};
  wanted.insert(kPlots.begin(), kPlots.end());
  EXPECT_EQ(images_of(resumed), wanted);
  for (const std::string& name : wanted)
    EXPECT_TRUE(read_file(resumed / name, 10 << 20) == read_file(straight / name, 10 << 20)) << name;
  EXPECT_EQ(tiny.bytes("resumed", "last"), tiny.bytes("straight", "last"));
}

// The folder is a file: nothing can be written, and that is said once.
TEST(RunPlots, FailuresAreSaidOnce) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  std::vector<std::string> said;
  RunPlots pictures(folder / "file", {"a"}, [&](std::string_view line) { said.emplace_back(line); });
  loader::DetectionBatch batch;
  batch.images = Tensor({1, 3, 32, 32}, DType::kUInt8);
  batch.targets = Tensor({0, 6});
  batch.origin.resize(1);
  for (batch.number = 0; batch.number < 3; ++batch.number) pictures.train_batch(batch, 3, -1);
  pictures.run_done();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("train_batch0.jpg"), std::string::npos) << said[0];
}

}  // namespace
}  // namespace marrow::train
