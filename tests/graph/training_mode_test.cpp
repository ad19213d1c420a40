#include "marrow/graph/training_mode.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace marrow {
namespace {

constexpr TrainingPlace kPlace{.seed = 5, .epoch = 2, .position = 40};

template <class Drop>
std::vector<float> mask(const Drop& op, const TrainingPlace& place, size_t node, int64_t samples,
                        int64_t size) {
  std::vector<float> values(static_cast<size_t>(samples * size));
  draw_mask(op, place, node, samples, values);
  return values;
}

double mean(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(Masks, KeepTheMean) {
  EXPECT_NEAR(mean(mask(Dropout{.rate = 0.3}, kPlace, 1, 20, 5000)), 1, 0.01);
  EXPECT_NEAR(mean(mask(DropPath{.rate = 0.3}, kPlace, 1, 100000, 1)), 1, 0.01);
  // Paddle's kind scales in inference.
  EXPECT_NEAR(mean(mask(Dropout{.rate = 0.3, .downscale_in_inference = true}, kPlace, 1, 20, 5000)), 0.7,
              0.01);
}

TEST(Masks, AreZeroOrTheScale) {
  for (const float value : mask(Dropout{.rate = 0.2}, kPlace, 1, 3, 100))
    EXPECT_TRUE(value == 0 || value == 1.25F) << value;
  for (const float value : mask(DropPath{.rate = 1}, kPlace, 1, 100, 1)) EXPECT_EQ(value, 0);
  for (const float value : mask(Dropout{.rate = 0}, kPlace, 1, 3, 100)) EXPECT_EQ(value, 1);
}

TEST(Masks, DependOnTheSamplesPlaceAlone) {
  const Dropout op{.rate = 0.5};
  const std::vector<float> all = mask(op, kPlace, 7, 4, 50);
  TrainingPlace second = kPlace;
  ++second.position;
  EXPECT_TRUE(std::ranges::equal(mask(op, second, 7, 1, 50), std::span(all).subspan(50, 50)));
  TrainingPlace other_epoch = kPlace, other_seed = kPlace;
  ++other_epoch.epoch;
  ++other_seed.seed;
  EXPECT_NE(mask(op, other_epoch, 7, 4, 50), all);
  EXPECT_NE(mask(op, other_seed, 7, 4, 50), all);
  EXPECT_NE(mask(op, kPlace, 8, 4, 50), all);
}

TEST(Frozen, IsWhatContainsAnEntry) {
  EXPECT_TRUE(is_frozen("model.0.bn.weight", {"model.1.", "model.0."}));
  EXPECT_FALSE(is_frozen("model.10.bn.weight", {"model.1.", "model.0."}));
  EXPECT_FALSE(is_frozen("model.0.bn.weight", {}));
}

}  // namespace
}  // namespace marrow
