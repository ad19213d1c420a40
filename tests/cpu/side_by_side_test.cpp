#include "marrow/cpu/side_by_side.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <set>
#include <stdexcept>

namespace marrow::cpu {
namespace {

TEST(SideBySide, RunsEveryPieceOnce) {
  SideBySide threads(3);
  for (const size_t count : {0, 1, 2, 3, 7, 3, 1}) {
    std::vector<std::atomic<int>> runs(count);
    threads.run(count, [&](size_t i) { ++runs[i]; });
    for (const std::atomic<int>& each : runs) EXPECT_EQ(each, 1);
  }
}

TEST(SideBySide, RunsThemAtTheSameTime) {
  SideBySide threads(3);
  // Each waits until all are there.
  std::latch there(3);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  threads.run(3, [&](size_t) {
    there.arrive_and_wait();
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_EQ(ids.count(std::this_thread::get_id()), 1u);
}

TEST(SideBySide, HandsOnWhatAPieceThrows) {
  SideBySide threads(2);
  std::atomic<int> finished{0};
  const auto work = [&](size_t i) {
    if (i == 1) throw std::runtime_error("piece 1");
    ++finished;
  };
  EXPECT_THROW(threads.run(4, work), std::runtime_error);
  EXPECT_EQ(finished, 3);
  EXPECT_NO_THROW(threads.run(1, work));
}

}  // namespace
}  // namespace marrow::cpu
