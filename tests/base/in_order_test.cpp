#include "marrow/base/in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace marrow {
namespace {

TEST(InOrder, HandsOnInTheOrderOfNumbersWhoeverGivesThem) {
  constexpr size_t kResults = 500, kThreads = 3;
  std::vector<size_t> taken;
  InOrder<size_t> results(2 * kThreads, [&](size_t result) { taken.push_back(result); });
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (size_t number = next++; number < kResults; number = next++) results.give(number, 10 * number);
    });
  for (std::thread& thread : threads) thread.join();
  std::vector<size_t> expected(kResults);
  for (size_t i = 0; i < kResults; ++i) expected[i] = 10 * i;
  EXPECT_EQ(taken, expected);
}

TEST(InOrder, KeepsNoMoreThanItMay) {
  std::vector<int> taken;
  InOrder<int> results(2, [&](int result) { taken.push_back(result); });
  std::atomic<bool> is_through{false};
  results.give(1, 1);
  std::thread ahead([&] {
    results.give(2, 2);
    is_through = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(is_through) << "0 is not there yet";
  results.give(0, 0);
  ahead.join();
  EXPECT_EQ(taken, (std::vector<int>{0, 1, 2}));
}

TEST(InOrder, TakesNothingAfterItsEnd) {
  int taken = 0;
  InOrder<int> results(1, [&](int result) {
    ++taken;
    if (result == 0) throw std::runtime_error("full");
  });
  EXPECT_THROW(results.give(0, 0), std::runtime_error);
  std::thread other([&] { results.give(1, 1); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  results.end();
  other.join();
  EXPECT_EQ(taken, 1);
}

}  // namespace
}  // namespace marrow
