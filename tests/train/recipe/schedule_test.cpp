#include "marrow/train/recipe/schedule.h"

#include <gtest/gtest.h>

namespace marrow::train {
namespace {

ScheduleOptions small_run() {
  ScheduleOptions options;
  options.batches_per_epoch = 50;
  options.epochs = 10;
  options.batch = 16;
  return options;
}

TEST(Schedule, FallsFromTheFirstRateToTheLast) {
  ScheduleOptions options = small_run();
  for (const bool cosine : {false, true}) {
    options.cosine = cosine;
    const Schedule schedule(options);
    EXPECT_DOUBLE_EQ(schedule.lr_factor(0), 1.0);
    EXPECT_NEAR(schedule.lr_factor(5), 0.505, 1e-12);
    EXPECT_NEAR(schedule.lr_factor(10), 0.01, 1e-12);
    for (int epoch = 1; epoch <= 10; ++epoch)
      EXPECT_LT(schedule.lr_factor(epoch), schedule.lr_factor(epoch - 1));
  }
}

TEST(Schedule, StaysAtTheLastRateBeyondTheLastEpoch) {
  EXPECT_NEAR(Schedule(small_run()).lr_factor(25), 0.01, 1e-12);
}

TEST(Schedule, WarmsUpBiasesDownwardsAndTheRestUpwards) {
  const Schedule schedule(small_run());
  ASSERT_EQ(schedule.warmup_iterations(), 150);
  EXPECT_DOUBLE_EQ(schedule.at(0).bias_lr, 0.1);
  EXPECT_DOUBLE_EQ(schedule.at(0).lr, 0.0);
  EXPECT_DOUBLE_EQ(schedule.at(0).momentum, 0.8);
  EXPECT_EQ(schedule.at(0).accumulate, 1);
  EXPECT_DOUBLE_EQ(schedule.at(150).bias_lr, schedule.at(150).lr);
  EXPECT_DOUBLE_EQ(schedule.at(151).lr, 0.01 * schedule.lr_factor(3));
  EXPECT_EQ(schedule.at(151).accumulate, 4);
}

TEST(Schedule, WarmsUpForAtLeastAHundredIterations) {
  ScheduleOptions options = small_run();
  options.batches_per_epoch = 3;
  options.rules = Rules::k83;
  EXPECT_EQ(Schedule(options).warmup_iterations(), 100);
  options.rules = Rules::k84;
  EXPECT_EQ(Schedule(options).warmup_iterations(), 9);
  options.warmup_epochs = 0;
  EXPECT_EQ(Schedule(options).warmup_iterations(), -1);
  EXPECT_DOUBLE_EQ(Schedule(options).at(0).lr, 0.01);
}

// With the rules of 8.4.
TEST(Schedule, WarmsUpBeforeTheLastEpochOnly) {
  ScheduleOptions options = small_run();
  options.batches_per_epoch = 3;
  options.epochs = 2;
  EXPECT_EQ(Schedule(options).warmup_iterations(), 3);
  options.epochs = 1;
  options.own_momentum = 0.9;
  EXPECT_EQ(Schedule(options).warmup_iterations(), -1);
  EXPECT_DOUBLE_EQ(Schedule(options).at(0).momentum, 0.9);
  // No more batches are accumulated than there are, unless a time ends the run.
  options.batch = 1;
  EXPECT_EQ(Schedule(options).at(0).accumulate, 3);
  options.epochs = 2;
  EXPECT_EQ(Schedule(options).at(3).accumulate, 6);
  options.timed = true;
  EXPECT_EQ(Schedule(options).at(3).accumulate, 64);
}

TEST(Schedule, ScalesDecayToTheImagesOfAStep) {
  ScheduleOptions options = small_run();
  for (const auto& [batch, scale] : {std::pair{16, 1.0}, {64, 1.0}, {128, 2.0}, {40, 1.25}, {24, 1.125}}) {
    options.batch = batch;
    EXPECT_DOUBLE_EQ(Schedule(options).scaled_weight_decay(0.0005), 0.0005 * scale) << batch;
  }
}

TEST(Schedule, KnowsWhenAnEpochOnlyAccumulates) {
  ScheduleOptions options = small_run();
  options.batches_per_epoch = 2;
  options.warmup_epochs = 0;
  options.batch = 8;  // eight batches a step
  const Schedule schedule(options);
  EXPECT_EQ(schedule.last_step_of_epoch(0, -1), std::nullopt);
  EXPECT_EQ(schedule.last_step_of_epoch(3, -1), 7);
}

}  // namespace
}  // namespace marrow::train
