#include "marrow/loader/shard_order.h"

#include <gtest/gtest.h>

#include <set>

#include "marrow/base/random_key.h"

namespace marrow::loader {
namespace {

using Visited = std::vector<std::pair<size_t, size_t>>;

Visited order_of(const ShardPlan& plan, int64_t epoch, std::vector<size_t>* streams = nullptr) {
  ShardEpoch order(plan, epoch, 1);
  Visited visited;
  order.advance(plan.count() - 1, [&](size_t, const ShardEpoch::Place& place) {
    visited.emplace_back(place.sample.shard, place.sample.number);
    if (streams != nullptr) streams->push_back(place.stream);
  });
  return visited;
}

TEST(ShardOrder, AnEpochHasEverySampleOnce) {
  for (const size_t batch : {1, 4, 9, 64})
    for (const uint64_t bytes : {0, 1000, 100'000}) {
      const ShardPlan plan = plan_shards({5, 0, 30, 1, 17, 8, 40, 2, 3, 11}, 3, batch, bytes, 100);
      EXPECT_LE(plan.streams, 9u);
      for (const int64_t epoch : {0, 1}) {
        Visited visited = order_of(plan, epoch);
        EXPECT_EQ(visited.size(), 117u);
        EXPECT_EQ(std::set(visited.begin(), visited.end()).size(), 117u);
      }
      EXPECT_NE(order_of(plan, 0), order_of(plan, 1));
      EXPECT_EQ(order_of(plan, 1), order_of(plan, 1));
    }
}

TEST(ShardOrder, NeighbouringPlacesDrawFromOneStream) {
  const ShardPlan plan = plan_shards(std::vector<uint64_t>(8, 100), 1, 16, 2000, 100);
  ASSERT_EQ(plan.streams, 4u);
  EXPECT_EQ(plan.buffer, 5u);
  EXPECT_EQ(plan.partners, 32u);
  std::vector<size_t> streams;
  order_of(plan, 0, &streams);
  for (size_t i = 0; i < 800; ++i) EXPECT_EQ(streams[i], i % 16 / 4) << i;
}

// Uneven shards: what is left at the end comes from those that have it.
TEST(ShardOrder, StreamsThatRunOutAreStoodInFor) {
  const ShardPlan plan = plan_shards({100, 1, 1, 1}, 1, 16, 2000, 100);
  EXPECT_EQ(plan.streams, 4u);
  const Visited visited = order_of(plan, 0);
  EXPECT_EQ(std::set(visited.begin(), visited.end()).size(), 103u);
}

TEST(ShardOrder, AShardIsReadFromItsFirstToItsLast) {
  const ShardPlan plan = plan_shards({50, 50}, 1, 4, 0, 100);  // a buffer of one sample
  EXPECT_EQ(plan.buffer, 1u);
  const Visited visited = order_of(plan, 0);
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(visited[i].second, i % 50);
}

TEST(ShardOrder, ABufferShufflesAsFarAsItReaches) {
  const ShardPlan plan = plan_shards({1000}, 1, 4, 1000, 100);
  ASSERT_EQ(plan.buffer, 10u);
  const Visited visited = order_of(plan, 0);
  size_t moved = 0;
  for (size_t i = 0; i < visited.size(); ++i) {
    EXPECT_LT(visited[i].second, i + 10);
    moved += visited[i].second != i;
  }
  EXPECT_GT(moved, 800u);
}

TEST(ShardOrder, PartnersAreOfTheSameStreamAndWereVisitedLast) {
  const ShardPlan plan = plan_shards(std::vector<uint64_t>(8, 100), 1, 16, 2000, 100);
  constexpr size_t kKept = 64;
  ShardEpoch order(plan, 0, kKept);
  std::vector<std::vector<std::pair<size_t, size_t>>> of_stream(plan.streams);
  std::vector<size_t> visited_of;
  for (size_t position = 0; position < 800; ++position) {
    order.advance(position, [&](size_t, const ShardEpoch::Place& place) {
      of_stream[place.stream].emplace_back(place.sample.shard, place.sample.number);
      visited_of.push_back(of_stream[place.stream].size());
    });
    // Of a position that others have passed, too.
    const size_t asked = position - std::min<size_t>(position, kKept - 1);
    const auto& all = of_stream[order.at(asked).stream];
    const size_t end = visited_of[asked], begin = end - std::min<size_t>(end, plan.partners);
    Random random = RandomKey{1, 0, static_cast<int64_t>(asked)}.at("partner");
    for (int i = 0; i < 10; ++i) {
      const auto [shard, number] = order.partner(asked, random);
      const auto found = std::find(all.begin(), all.end(), std::pair(shard, number));
      if (end >= 32) {
        ASSERT_NE(found, all.end());
        ASSERT_GE(found - all.begin(), static_cast<std::ptrdiff_t>(begin));
        ASSERT_LT(found - all.begin(), static_cast<std::ptrdiff_t>(end));
      }
    }
  }
}

// The first images of an epoch have others for their mosaics, too.
TEST(ShardOrder, TheFirstHavePartnersThatAreToCome) {
  const ShardPlan plan = plan_shards(std::vector<uint64_t>(8, 100), 1, 16, 8000, 100);
  ShardEpoch order(plan, 0, 64);
  order.advance(0);
  Random random = RandomKey{1, 0, 0}.at("partner");
  std::set<size_t> numbers;
  for (int i = 0; i < 100; ++i) numbers.insert(order.partner(0, random).number);
  EXPECT_GT(numbers.size(), 15u);
}

}  // namespace
}  // namespace marrow::loader
