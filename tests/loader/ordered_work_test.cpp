#include "marrow/loader/ordered_work.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace marrow::loader {
namespace {

constexpr int kWorkers[] = {0, 1, 2, 5};

TEST(OrderedWork, HandsOverEveryBatchCompleteAndInOrder) {
  for (const int workers : kWorkers) {
    constexpr int64_t kAhead = 3, kFirst = 2, kEnd = 40, kItems = 7;
    std::array<std::array<int64_t, kItems>, kAhead> slots{};
    std::atomic<int64_t> consumed = kFirst;
    std::atomic<bool> overrun = false;
    OrderedWork work(workers, kFirst, kEnd, kAhead,
                     {[&](int64_t batch) {
                        if (batch >= consumed + kAhead) overrun = true;
                        slots[static_cast<size_t>(batch % kAhead)].fill(-1);
                        return kItems;
                      },
                      [&](int64_t batch, int64_t item) {
                        slots[static_cast<size_t>(batch % kAhead)][static_cast<size_t>(item)] =
                            batch * 100 + item;
                      }});
    for (int64_t batch = kFirst; batch < kEnd; ++batch) {
      ASSERT_FALSE(work.finished());
      work.wait();
      for (int64_t item = 0; item < kItems; ++item)
        ASSERT_EQ(slots[static_cast<size_t>(batch % kAhead)][static_cast<size_t>(item)], batch * 100 + item);
      ++consumed;
      work.release();
    }
    EXPECT_TRUE(work.finished());
    EXPECT_FALSE(overrun);
  }
}

TEST(OrderedWork, AcceptsBatchesWithoutItems) {
  for (const int workers : kWorkers) {
    std::atomic<int> ran = 0;
    OrderedWork work(workers, 0, 6, 2,
                     {[](int64_t batch) { return batch % 2; }, [&](int64_t, int64_t) { ++ran; }});
    for (int i = 0; i < 6; ++i) work.wait(), work.release();
    EXPECT_EQ(ran, 3);
  }
}

TEST(OrderedWork, ThrowsTheFirstFailureOfTheBatchEachTime) {
  for (const int workers : kWorkers) {
    OrderedWork work(workers, 0, 10, 2,
                     {[](int64_t) { return 8; },
                      [](int64_t batch, int64_t item) {
                        if (batch == 3 && item % 2 == 1)
                          throw std::runtime_error("item " + std::to_string(item));
                      }});
    for (int i = 0; i < 3; ++i) work.wait(), work.release();
    for (int again = 0; again < 2; ++again) {
      try {
        work.wait();
        FAIL() << "no exception";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "item 1");
      }
    }
  }
}

TEST(OrderedWork, ThrowsWhatOpeningThrew) {
  for (const int workers : kWorkers) {
    OrderedWork work(workers, 0, 2, 1,
                     {[](int64_t) -> int64_t { throw std::runtime_error("full"); }, [](int64_t, int64_t) {}});
    EXPECT_THROW(work.wait(), std::runtime_error);
  }
}

TEST(OrderedWork, StopsWhenAbandoned) {
  for (const int workers : kWorkers) {
    std::atomic<int> running = 0;
    {
      OrderedWork work(workers, 0, 1'000'000, 4,
                       {[](int64_t) { return 3; },
                        [&](int64_t, int64_t) {
                          ++running;
                          std::this_thread::sleep_for(std::chrono::microseconds(50));
                          --running;
                        }});
      work.wait();
    }
    EXPECT_EQ(running, 0);
  }
}

TEST(OrderedWork, MeasuresWhatTheConsumerWaits) {
  OrderedWork work(1, 0, 1, 1,
                   {[](int64_t) { return 1; },
                    [](int64_t, int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }});
  work.wait();
  EXPECT_GE(work.waited_seconds(), 0.005);
}

}  // namespace
}  // namespace marrow::loader
