#include <gtest/gtest.h>

#include <limits>

#include "marrow/base/error.h"
#include "marrow/train/recipe/early_stopping.h"
#include "marrow/train/recipe/optimizer_choice.h"

namespace marrow::train {
namespace {

TEST(EarlyStopping, CountsEpochsSinceTheBest) {
  EarlyStopping stopping(3);
  EXPECT_FALSE(stopping.update(0, 0.2));
  EXPECT_FALSE(stopping.update(1, 0.5));
  EXPECT_FALSE(stopping.update(2, 0.5));  // equal is not better
  EXPECT_FALSE(stopping.update(3, 0.4));
  EXPECT_TRUE(stopping.update(4, 0.4));
  EXPECT_EQ(stopping.state().best_epoch, 1);
}

TEST(EarlyStopping, WaitsWhileNothingIsFound) {
  EarlyStopping stopping(2, {}, Rules::k83);
  for (int epoch = 0; epoch < 10; ++epoch) EXPECT_FALSE(stopping.update(epoch, 0.0));
  EXPECT_FALSE(stopping.update(10, 0.1));
  EXPECT_FALSE(stopping.update(11, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(stopping.update(12, 0.1));
}

// With the rules of 8.4 the first fitness is the best so far even if it is 0.
TEST(EarlyStopping, DoesNotWaitForAFirstFind) {
  EarlyStopping stopping(2);
  EXPECT_FALSE(stopping.update(0, 0.0));
  EXPECT_FALSE(stopping.update(1, 0.0));
  EXPECT_EQ(stopping.state().best_epoch, 0);
  EXPECT_TRUE(stopping.update(2, 0.0));
  // A run that goes on knows of it.
  EXPECT_TRUE(EarlyStopping(2, stopping.state()).update(3, 0.0));
}

TEST(EarlyStopping, NeverStopsAtPatienceZero) {
  EarlyStopping stopping(0, {0.9, 0, true});
  EXPECT_FALSE(stopping.update(100000, 0.1));
}

TEST(OptimizerChoice, AutoTakesAdamWForShortRunsAndSgdForLongOnes) {
  const OptimizerChoice short_run = choose_optimizer("auto", {}, 205, 16, 64, 100, 2);
  EXPECT_EQ(short_run.kind, OptimizerKind::kAdamW);
  EXPECT_DOUBLE_EQ(short_run.lr0, 0.001667);
  EXPECT_DOUBLE_EQ(choose_optimizer("auto", {}, 205, 16, 64, 100, 80).lr0, 0.000119);
  EXPECT_DOUBLE_EQ(short_run.momentum, 0.9);
  EXPECT_DOUBLE_EQ(short_run.warmup_bias_lr, 0.0);
  // 118287 images: 1849 steps an epoch
  EXPECT_EQ(choose_optimizer("Auto", {}, 118287, 16, 64, 5, 80).kind, OptimizerKind::kAdamW);
  EXPECT_EQ(choose_optimizer("auto", {}, 118287, 16, 64, 6, 80, Rules::k83).kind, OptimizerKind::kSgd);
  EXPECT_EQ(choose_optimizer("auto", {}, 118287, 16, 64, 6, 80, Rules::k84).kind, OptimizerKind::kMuSgd);
  EXPECT_EQ(choose_optimizer("auto", {}, 118287, 128, 64, 6, 80).kind, OptimizerKind::kAdamW);
}

TEST(OptimizerChoice, KeepsTheGivenRatesForANamedOne) {
  const OptimizerChoice choice = choose_optimizer("radam", {.lr0 = 0.5, .momentum = 0.7}, 1, 1, 1, 1, 1);
  EXPECT_EQ(choice.kind, OptimizerKind::kRadam);
  EXPECT_DOUBLE_EQ(choice.lr0, 0.5);
  EXPECT_DOUBLE_EQ(choice.momentum, 0.7);
  try {
    choose_optimizer("AdamV", {}, 1, 1, 1, 1, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("Did you mean 'Adam"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace marrow::train
