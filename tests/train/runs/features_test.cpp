// Runs that keep what a frozen backbone makes of their images.
#include <gtest/gtest.h>

#include <fstream>

#include "marrow/base/error.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;

class FeaturesRun : public ::testing::Test {
 protected:
  TrainOptions options(const std::string& name, const std::string& cache, int variants) const {
    TrainOptions options = tiny_.options(name);
    options.nbs = 4;
    options.freeze = {"backbone"};
    options.cache = cache;
    options.cache_variants = variants;
    return options;
  }
  std::string refused(const std::function<void(TrainOptions&)>& change) const {
    TrainOptions changed = options("refused", "features", 2);
    change(changed);
    const std::string message = testing::message_of([&] { run_training(changed); }, ErrorKind::kUsage);
    EXPECT_FALSE(fs::exists(tiny_.run("refused") / "weights"));
    return message;
  }

  testing::TinyRun tiny_;
};

// Features come from the deployed network, whose batch norms are folded: rounded otherwise. That is nothing
// beside what fewer variants change.
TEST_F(FeaturesRun, WithAVariantAnEpochItIsTheRunWithout) {
  const auto trained = [&](const std::string& name, const std::string& cache, int variants) {
    TrainOptions run = options(name, cache, variants);
    run.lr0 = 0.05;
    run_training(run);
    return model::load_trained(tiny_.weights(name, "last")).weights;
  };
  const Weights without = trained("without", "ram", 4), with = trained("with", "features", 4),
                fewer = trained("fewer", "features", 1);
  int moved = 0;
  for (const auto& [name, tensor] : without) {
    if (tensor.dtype() != DType::kFloat32) continue;
    const double other = relative_difference(fewer.at(name), tensor);
    EXPECT_LE(relative_difference(with.at(name), tensor), 1e-6 + 0.01 * other) << name;
    moved += other > 1e-3;
  }
  EXPECT_GT(moved, 20);
}

TEST_F(FeaturesRun, GoesOnToTheSameBytes) {
  TrainOptions straight = options("straight", "features", 2);
  straight.epochs = 6;
  straight.close_mosaic = 2;
  straight.save_period = 1;
  straight.nbs = 16;
  run_training(straight);
  const std::string last = tiny_.bytes("straight", "last"), best = tiny_.bytes("straight", "best");
  for (const char* from : {"epoch0", "epoch2", "epoch4"}) {
    SCOPED_TRACE(from);
    const fs::path part = tiny_.weights("straight", from);
    fs::copy_file(part, tiny_.weights("straight", "last"), fs::copy_options::overwrite_existing);
    ASSERT_EQ(resume_training(tiny_.run("straight"), testing::kNoChanges), RunOutcome::kFinished);
    EXPECT_EQ(tiny_.bytes("straight", "last"), last);
    EXPECT_EQ(tiny_.bytes("straight", "best"), best);
  }
  fs::copy_file(tiny_.weights("straight", "epoch2"), tiny_.weights("straight", "last"),
                fs::copy_options::overwrite_existing);
  EXPECT_SAYS(testing::message_of(
                  [&] { resume_training(tiny_.run("straight"), [](TrainOptions& o) { o.cache = "ram"; }); },
                  ErrorKind::kUsage),
              "--cache ram: the run began with features");
}

TEST_F(FeaturesRun, RefusesWhatChangesFrozenMaps) {
  EXPECT_SAYS(refused([](TrainOptions& o) { o.freeze.clear(); }), "no layer is frozen");
  EXPECT_SAYS(refused([](TrainOptions& o) { o.freeze = {"1", "8.cv2"}; }), "the first layer is trained");
  EXPECT_SAYS(refused([](TrainOptions& o) { o.rect = true; }), "not with rect");
  EXPECT_SAYS(refused([](TrainOptions& o) { o.multi_scale = 0.5; }), "not with multi_scale");
  EXPECT_SAYS(refused([](TrainOptions& o) { o.act_decay_epochs = 1; }), "not with act_decay_epochs");
  EXPECT_SAYS(refused([](TrainOptions& o) {
                o.cache_variants = 1'000'000'000;
                o.epochs = 1'000'000'000;
              }),
              "half of the free memory");
}

}  // namespace
}  // namespace marrow::train
