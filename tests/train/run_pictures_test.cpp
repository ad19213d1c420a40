// The pictures of a run: which there are, and that they change nothing else.
#include "train/run_pictures.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "image/decode.h"
#include "plot/gnuplot.h"
#include "train/run_training.h"
#include "train/tiny_run.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

bool has_gnuplot() {
  try {
    run_gnuplot("print 1\n");
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::set<std::string> pictures_of(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".jpg") && !name.ends_with(".png")) continue;
    EXPECT_FALSE(decode_image_file(entry.path()).image.empty()) << name;
    names.insert(name);
  }
  return names;
}

TEST(RunPictures, AreThoseThatPeopleExpectAndChangeNoWeight) {
  const test::TinyRun tiny;
  TrainOptions options = tiny.options("drawn");
  options.plots = true;
  ASSERT_EQ(run_training(options), RunOutcome::kFinished);
  // Three batches an epoch, four epochs, the last of them without mosaic.
  std::set<std::string> wanted = {"train_batch0.jpg",      "train_batch1.jpg",   "train_batch2.jpg",
                                  "train_batch9.jpg",      "train_batch10.jpg",  "train_batch11.jpg",
                                  "val_batch0_labels.jpg", "val_batch0_pred.jpg"};
  if (has_gnuplot())
    wanted.insert({"results.png", "labels.jpg", "confusion_matrix.png", "confusion_matrix_normalized.png",
                   "BoxPR_curve.png", "BoxF1_curve.png", "BoxP_curve.png", "BoxR_curve.png"});
  EXPECT_EQ(pictures_of(tiny.run("drawn")), wanted);

  options = tiny.options("plain");
  options.plots = false;
  ASSERT_EQ(run_training(options), RunOutcome::kFinished);
  EXPECT_TRUE(pictures_of(tiny.run("plain")).empty());
  EXPECT_EQ(tiny.bytes("plain", "last"), tiny.bytes("drawn", "last"));
  EXPECT_EQ(tiny.bytes("plain", "best"), tiny.bytes("drawn", "best"));
}

// The folder is a file: nothing can be written, and that is said once.
TEST(RunPictures, FailuresAreSaidOnce) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  std::vector<std::string> said;
  RunPictures pictures(folder / "file", {"a"}, [&](std::string_view line) { said.emplace_back(line); });
  DetectionBatch batch;
  batch.images = Tensor({1, 3, 32, 32}, DType::kUInt8);
  batch.targets = Tensor({0, 6});
  batch.origin.resize(1);
  for (batch.number = 0; batch.number < 3; ++batch.number) pictures.train_batch(batch, 3, -1);
  pictures.run_done();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("train_batch0.jpg"), std::string::npos) << said[0];
  EXPECT_EQ(pictures.final_validation(), nullptr);
}

}  // namespace
}  // namespace marrow
