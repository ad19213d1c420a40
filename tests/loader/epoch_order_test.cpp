#include "marrow/loader/epoch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace marrow::loader {
namespace {

TEST(EpochOrder, IsAPermutationThatSeedAndEpochChange) {
  std::vector<size_t> identity(100);
  std::iota(identity.begin(), identity.end(), size_t{0});
  const std::vector<size_t> order = shuffled_order(100, 3, 5);
  EXPECT_NE(order, identity);
  EXPECT_TRUE(std::ranges::is_permutation(order, identity));
  EXPECT_EQ(order, shuffled_order(100, 3, 5));
  EXPECT_NE(order, shuffled_order(100, 4, 5));
  EXPECT_NE(order, shuffled_order(100, 3, 6));
  EXPECT_TRUE(shuffled_order(0, 1, 1).empty());
  EXPECT_EQ(shuffled_order(1, 1, 1), std::vector<size_t>{0});
}

TEST(EpochOrder, EveryPlaceIsAsLikelyForEveryImage) {
  constexpr int kEpochs = 4000;
  int first[5] = {};
  for (int epoch = 0; epoch < kEpochs; ++epoch) ++first[shuffled_order(5, 0, epoch).front()];
  for (const int count : first) EXPECT_NEAR(count, kEpochs / 5, 120);  // under 5 standard deviations
}

TEST(EpochOrder, DoesNotDependOnWhichEpochsWereAskedFor) {
  const EpochOrder order(EpochImages::all(20), 9);
  for (const int64_t epoch : {0, 7, 3, 7, 1, 2, 4, 0})
    for (size_t i = 0; i < 20; ++i) EXPECT_EQ(order.at(epoch, i), shuffled_order(20, 9, epoch)[i]);
}

TEST(EpochOrder, RecentImagesAreThoseVisitedLast) {
  const EpochOrder order(EpochImages::all(10), 1);
  const auto drawn = [&](int64_t epoch, size_t position) {
    std::set<size_t> result;
    Random random(5, 5);
    for (int i = 0; i < 500; ++i) result.insert(order.recent(epoch, position, 4, random));
    return result;
  };
  EXPECT_EQ(drawn(0, 0), std::set<size_t>{order.at(0, 0)});
  EXPECT_EQ(drawn(0, 1), (std::set<size_t>{order.at(0, 0), order.at(0, 1)}));
  EXPECT_EQ(drawn(0, 9), (std::set<size_t>{order.at(0, 6), order.at(0, 7), order.at(0, 8), order.at(0, 9)}));
  EXPECT_EQ(drawn(1, 1), (std::set<size_t>{order.at(0, 8), order.at(0, 9), order.at(1, 0), order.at(1, 1)}));
}

TEST(EpochImages, DrawSomeAnewInEveryEpoch) {
  const EpochImages images{.always = {1, 4, 6}, .sometimes = {0, 2, 3, 5, 7}, .drawn = 2};
  EXPECT_EQ(images.count(), 5u);
  std::set<std::vector<size_t>> draws;
  std::set<size_t> drawn;
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const std::vector<size_t> chosen = images.of_epoch(3, epoch);
    ASSERT_EQ(chosen.size(), 5u);
    EXPECT_EQ(std::vector(chosen.begin(), chosen.begin() + 3), images.always);
    EXPECT_NE(chosen[3], chosen[4]);
    draws.insert(chosen);
    drawn.insert(chosen.begin() + 3, chosen.end());
    EXPECT_EQ(chosen, images.of_epoch(3, epoch));
  }
  EXPECT_GT(draws.size(), 10u);
  EXPECT_EQ(drawn, std::set<size_t>(images.sometimes.begin(), images.sometimes.end()));
  const EpochOrder order(images, 3);
  for (const int64_t epoch : {5, 0, 6}) {
    std::vector<size_t> visited;
    for (size_t i = 0; i < order.count(); ++i) visited.push_back(order.at(epoch, i));
    EXPECT_TRUE(std::ranges::is_permutation(visited, images.of_epoch(3, epoch)));
  }
}

TEST(EpochOrder, WindowOfTheReference) {
  EXPECT_EQ(mosaic_window(205, 16), 128u);
  EXPECT_EQ(mosaic_window(50, 16), 50u);
  EXPECT_EQ(mosaic_window(118'000, 256), 1000u);
}

}  // namespace
}  // namespace marrow::loader
